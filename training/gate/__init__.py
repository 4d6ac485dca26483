"""What may be released: every runtime and precision, measured against the checkpoint."""
