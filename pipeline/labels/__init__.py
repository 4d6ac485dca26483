"""From logits to label paths: the hierarchy, decoding, and what a request may choose of it."""
