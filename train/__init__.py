"""Data loading, networks, losses and the training loop."""
