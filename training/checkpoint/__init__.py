"""What training leaves behind: checkpoints, how they answer texts, how they become bundles."""
