"""Narrower models: what matters in a network, and how a student learns from its teacher."""
