"""How well models answer: baselines, pruning, better data."""
