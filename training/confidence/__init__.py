"""What a confidence is worth: its calibration, and how often the labels above it are right."""
