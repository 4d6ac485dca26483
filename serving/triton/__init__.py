"""NVIDIA Triton: the model repository, what is deployed in it, and the server that runs it."""
