"""What a store is, to be looked at, and whether it is what its parameters say: sheets, order in groups, measures."""
