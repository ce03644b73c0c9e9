"""Files of models: ours, published ones, and all that spandrel reads."""
