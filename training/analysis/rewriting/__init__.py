"""New wordings of given texts: which words may change, and into what."""
