"""Training data, training and measurement for real-world super-resolution."""
