"""Paddle Serving under load, beside the service that upstream documents."""
