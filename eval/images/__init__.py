"""Images to measure or restore: sets of them, files, tiles, tensors."""
