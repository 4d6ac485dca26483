"""Explanations of one bundle, from wherever they come, held against each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.labels.decoding import Answer

LEAST = 0.01
"""Smaller falls may change places, or be left out, by the last bits of a logit."""


def assert_same_reasons(answers: Sequence[Answer], expected: Sequence[Answer]) -> None:
    """The same labels, confidences, words and falls."""
    for answer, wanted in zip(answers, expected, strict=True):
        assert dict(answer) == pytest.approx(dict(wanted), abs=1e-3)
        assert answer.truncated == wanted.truncated
        assert answer.why and wanted.why
        assert (answer.why.words_at_once, answer.why.until) == (wanted.why.words_at_once, wanted.why.until)
        for label, reasons in wanted.why.labels.items():
            found = {reason.start: reason.drop for reason in answer.why.labels[label]}
            large = [reason for reason in reasons if reason.drop > LEAST]
            assert all(found.get(reason.start, 0) == pytest.approx(reason.drop, abs=2e-3) for reason in large)
