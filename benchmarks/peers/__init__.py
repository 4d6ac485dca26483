"""Other servers and engines on the same model."""
