"""What lies on disk: dataset files, bundles and their checksums, and how files are written and read."""
