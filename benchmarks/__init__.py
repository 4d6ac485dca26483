"""Measurements: accuracy, latency, load."""
