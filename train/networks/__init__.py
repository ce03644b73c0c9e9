"""The networks, and how a file or a run becomes one."""
