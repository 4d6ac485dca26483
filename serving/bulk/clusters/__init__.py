"""Clusters that take shards in the place of worker processes; each needs an environment of its own."""
