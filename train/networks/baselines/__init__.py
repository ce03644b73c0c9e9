"""Networks of the methods that the papers compare with, a file each."""
