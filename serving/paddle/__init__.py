"""A bundle served by Paddle Serving: a pipeline service for RPC and HTTP, and what starts and watches it."""
