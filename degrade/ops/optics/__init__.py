"""What lenses and cameras do to light."""
