"""Tile statistics, the characteristic interval (CATI), and the banks of noise patches it yields."""
