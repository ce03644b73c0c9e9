"""Images, seeds, kernels, degradation steps, groups and the sharded stores that hold them."""
