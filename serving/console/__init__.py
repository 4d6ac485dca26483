"""The console: a page to try a model in, and REST for programs."""
