"""Names that graphs, servers and clients agree on; each is written here and nowhere else."""

ENSEMBLE = "seqcls"
"""The model that clients ask."""

INPUT_IDS, TOKEN_TYPE_IDS = "input_ids", "token_type_ids"
"""Inputs of every graph: int64 [batch, length]."""
LOGITS = "logits"
"""Output of every graph: float32 [batch, labels]."""
TEXT = "INPUT"
"""Input of a server: UTF-8 texts [batch, 1]."""
LABEL, CONFIDENCE = "label", "confidence"
"""Outputs of a server: label paths [batch, K], padded with "", and float32 [batch, K], padded with 0."""
