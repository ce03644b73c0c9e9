"""Small published networks, and readers of their files."""
