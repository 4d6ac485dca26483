"""How fast the networks compute, and what the processor permits."""
