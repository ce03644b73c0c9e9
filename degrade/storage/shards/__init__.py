"""Stores in shards: their layout, writing, reading, commits and verification."""
