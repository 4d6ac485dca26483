"""The linear part of a model: which n-grams it knows, how its weights are fitted, how it joins an encoder."""
