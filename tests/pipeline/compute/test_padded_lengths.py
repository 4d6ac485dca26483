"""Padding to a few lengths, for engines that join only equal shapes to a batch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from pipeline.compute.batching import pad
from pipeline.compute.padded_lengths import lengths_up_to, pad_to_length
from pipeline.files.bundle import Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS


@pytest.mark.parametrize(
    ("maximum", "lengths"),
    [(128, (16, 32, 48, 64, 96, 128)), (100, (16, 32, 48, 64, 96, 100)), (10, (10,)), (16, (16,))],
)
def test_padded_lengths_end_at_the_models_maximum(maximum, lengths):
    assert lengths_up_to(maximum) == lengths


def test_padding_goes_to_the_first_length_that_holds_it():
    ids = np.array([[1, 7, 2], [1, 2, 0]])
    assert pad_to_length(ids, (2, 4, 8)).tolist() == [[1, 7, 2, 0], [1, 2, 0, 0]]
    assert pad_to_length(ids, (3, 8)) is ids
    assert pad_to_length(ids, ()) is ids
    assert pad_to_length(ids, (2,)) is ids


def test_padding_changes_no_answer(bundle_path):
    """Of the graph that the native backends get: each text alone, and padded to every length that holds it."""
    bundle = Bundle(bundle_path)
    goldens = [golden.text for golden in bundle.manifest.goldens]
    texts = [*goldens, *(text[:length] for text in goldens[:4] for length in (1, 2, 5, 9)), "。".join(goldens) * 3]
    session = onnxruntime.InferenceSession(str(bundle.file("model.onnx")), providers=["CPUExecutionProvider"])
    rows, decode = bundle.encoder().encode(texts), bundle.decoder().decode
    lengths = lengths_up_to(bundle.manifest.max_seq_length)
    assert len(rows[-1]) == lengths[-1]

    def logits(ids):
        return session.run([LOGITS], {INPUT_IDS: ids, TOKEN_TYPE_IDS: np.zeros_like(ids)})[0]

    for row in rows:
        plain = logits(pad([row]))
        for length in (length for length in lengths if length >= len(row)):
            ids = pad_to_length(pad([row]), (length,))
            assert ids.shape == (1, length)
            padded = logits(ids)
            np.testing.assert_allclose(padded, plain, rtol=0, atol=1e-4)
            assert decode(padded).ranked()[0].tolist() == decode(plain).ranked()[0].tolist()
