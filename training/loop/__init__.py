"""One training run: the trainer, its losses, its state, and the processes that share it."""
