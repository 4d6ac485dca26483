"""Files that people drop on the page, and those that they take away."""
