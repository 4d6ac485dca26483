"""Pretrained encoders from elsewhere: packages, Hugging Face folders, and what of their vocabulary is kept."""
