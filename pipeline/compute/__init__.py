"""From token ids to logits: batches, packed rows, precisions, runtimes."""
