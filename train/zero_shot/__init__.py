"""Networks that are trained on each image anew, when it is restored."""
