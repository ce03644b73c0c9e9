"""What single formats of image files need beyond a decoder."""
