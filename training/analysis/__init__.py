"""Scripts that look at a trained model and its data: what it gets wrong, and what to mend."""
