"""The `rwsr` command."""
