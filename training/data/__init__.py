"""Dataset files: what they are made from, and how training reads them."""
