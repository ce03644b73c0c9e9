"""The terms that networks are trained by."""
