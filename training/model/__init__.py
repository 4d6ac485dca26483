"""The networks: where they come from, how they start, how they compute fast, how they become static graphs."""
