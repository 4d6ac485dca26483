"""Scoring very many texts with a bundle: shards of many files, worker processes, and a folder of parts to resume."""
