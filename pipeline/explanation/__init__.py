"""Why a text got a label: what its score falls by without some of its words."""
