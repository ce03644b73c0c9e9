"""Metric reports: their table, the plots and the pages that are drawn of it."""
