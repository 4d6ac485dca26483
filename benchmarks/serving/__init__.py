"""Triton under load, beside the baseline and by itself."""
