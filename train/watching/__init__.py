"""How a training is followed: its log, its pace, TensorBoard and Weights & Biases."""
