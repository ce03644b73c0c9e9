"""The methods that the papers compare with, a file each."""
