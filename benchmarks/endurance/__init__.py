"""Both servers for a long time: under mixed load, while bundles are published and processes die."""
