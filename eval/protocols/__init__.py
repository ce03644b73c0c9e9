"""The protocols of the papers, each measured into rows of a report."""
