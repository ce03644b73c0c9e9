"""Metrics, protocols, Parquet reports and plots."""
