"""The tables of the papers, from photographs to the page."""
