"""What is trained on: batches of crops from stores, and from images on the fly."""
