"""From raw texts to token ids: normalisation, words, tokenisers, vocabularies."""
