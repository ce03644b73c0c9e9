"""Lossy codecs beside JPEG and WebP, and what coding does to colour."""
