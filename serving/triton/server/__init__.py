"""A tritonserver process: how it is found, started, watched and started again."""
