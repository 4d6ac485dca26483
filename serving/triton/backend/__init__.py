"""What the Python models of the repository share; staged beside each of them when a bundle is published.

Importable only in a process of Triton's Python backend.
"""
