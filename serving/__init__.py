"""What publishes bundles and runs servers."""
