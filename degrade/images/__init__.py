"""Image files: what counts as one, its pixels, and what a folder of them holds."""
