"""The training loop, checkpoints and runs that every method shares."""
