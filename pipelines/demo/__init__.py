"""`rwsr demo`: the whole way on photographs that come with scikit-image."""
