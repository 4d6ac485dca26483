"""The made-up wordings of the sample dataset.

Notation of a template: `[a|b|]` is one of the alternatives, `{人}` a filler of that slot, `{人2}` another filler of
the same slot, `{2~90}` a whole number. A slot that is named twice in a sentence is filled once. A line
`@path,path weight` opens the templates of that combination of leaf label paths; the weight is its share of rows.
"""
