"""Names that graphs, servers and clients agree on; each is written here and nowhere else."""

ENSEMBLE = "seqcls"
"""The model that clients ask."""
ABOUT = "about"
"""Where a server describes its model, see `pipeline.served`: a parameter of the ensemble's configuration in Triton, a
key of requests and answers in Paddle Serving."""

INPUT_IDS, TOKEN_TYPE_IDS = "input_ids", "token_type_ids"
"""Inputs of every plain graph: int64 [batch, length]."""
POSITION_IDS, TEXT_NUMBERS, FIRST_TOKENS = "position_ids", "text_numbers", "first_tokens"
"""Inputs of the packed graph, beside INPUT_IDS; see `pipeline.compute.packing`."""
LOGITS = "logits"
"""Output of every graph: float32 [batch, labels]."""
TEXT = "INPUT"
"""Input of a server: UTF-8 texts [batch, 1]."""
LABEL, CONFIDENCE = "label", "confidence"
"""Outputs of a server: label paths [batch, K], padded with "", and float32 [batch, K], padded with 0."""
SCORES = "scores"
"""Output of a server for those who ask for it: every label's score, float32 [batch, labels]."""
TRUNCATED = "truncated"
"""Output of a server for those who ask for it: whether a text is longer than the model reads, bool [batch, 1]."""
LINEAR = "linear"
"""Between the steps of a server: the logits of the linear part, float32 [batch, labels]."""
THRESHOLD, POLICY, TOP_K, PROMISE = "threshold", "policy", "top_k", "promise"
"""What a request may choose for itself."""
EXPLAIN, EXPLANATION = "explain", "explanation"
"""Whether a request asks why, and the output of a server that tells: JSON of `pipeline.labels.explanation`, STRING
[batch, 1], empty where nobody asked."""
PIECES = "pieces"
"""Between the steps of a server, STRING [rows, 1]: of each text that is to be explained JSON of
`pipeline.explanation.pieces`, and of all other rows nothing. Copies of the texts stand behind the texts. Left out where
no text is to be explained."""
PROMISED = "promised"
"""Output of a server for those who ask for it: the highest precision that is promised for a label, 0 where none is,
float32 [batch, K]."""
ADMISSION = "admission"
"""Between the steps of a server: int64 [batch, 3], see `serving.triton.backend.admission`."""
PROBE, PROBE_VARIABLE = "probe", "TEXT_CLASSIFIER_PROBE"
"""Request parameter of a golden text, which is answered and not counted, and the environment variable of the server
that says which value it must have."""

PAD_ID = 0
"""The token id that rows of a batch are filled up with."""
