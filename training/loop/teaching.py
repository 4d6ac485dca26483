"""Learning from other models' answers to unlabelled texts (Hinton et al. 2015).

A student that reads what several teachers make of many unlabelled texts learns what they agree on, and comes near
their common answer, which is better than that of each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import DatasetError, InputError
from pipeline.files.lines import read_lines
from pipeline.labels.hierarchy import LabelHierarchy, composed
from pipeline.records import parse_json
from pipeline.text.encoding import TextEncoder
from pipeline.text.normalisation import text_fault
from training.data.encoded import EncodedDataset


def add_taught_rows(
    dataset: EncodedDataset,
    held_out: EncodedDataset,
    paths: Sequence[Path],
    hierarchy: LabelHierarchy,
    encoder: TextEncoder,
) -> EncodedDataset:
    """`dataset` and, with the mean of the teachers' confidences for labels, the texts that it does not hold yet.

    Args:
        held_out: texts that are measured on; they are not learnt from.
        paths: per teacher a file of JSON lines as `predict.py --format jsonl` writes them, all on the same texts.

    Returns:
        A dataset whose `labels` are float32 in [0, 1].

    Raises:
        InputError: a file is missing, or they have different numbers of lines.
        DatasetError: a line is no answer, names an unknown label, or has another text than the first file's.
    """
    known = set(map(encoder.words, (*dataset.texts, *held_out.texts)))
    texts: list[str] = []
    taught: list[np.ndarray] = []
    for lines in itertools.zip_longest(*(read_answers(path, hierarchy) for path in paths)):
        short = [path for path, line in zip(paths, lines) if line is None]
        if short:
            raise InputError(f"{short[0]} has fewer lines than the other --teachers; let all answer the same texts")
        text = lines[0][1]
        for path, (number, other, _) in zip(paths, lines):
            if other != text:
                raise DatasetError(path, number, f"the text is {other[:40]!r}, and {text[:40]!r} in {paths[0]}")
        if (words := encoder.words(text)) not in known:
            known.add(words)
            texts.append(text)
            taught.append(np.mean([confidences for _, _, confidences in lines], axis=0, dtype=np.float32))
    labels = np.concatenate([dataset.labels.astype(np.float32), *(row[None] for row in taught)])
    return EncodedDataset([*dataset.texts, *texts], [*dataset.rows, *encoder.encode(texts)], labels, dataset.report)


def read_answers(path: Path, hierarchy: LabelHierarchy) -> Iterator[tuple[int, str, np.ndarray]]:
    """Per line its number, its text, and float32 [labels] of confidences, 0 for labels that it does not name.

    Raises:
        InputError: the file is missing.
        DatasetError: a line is no answer.
    """
    for number, line in read_lines(path):
        confidences = np.zeros(len(hierarchy), np.float32)
        try:
            answer = parse_json(line)
            text, labels = answer["text"], answer["labels"]
            for label in labels:
                confidences[hierarchy.index[composed(label["label"])]] = label["confidence"]
        except (ValueError, TypeError, KeyError) as error:
            reason = f"no answer as `predict.py --format jsonl` writes it ({type(error).__name__}: {error})"
            raise DatasetError(path, number, reason) from error
        if not isinstance(text, str) or text_fault(text):
            raise DatasetError(path, number, f"the text is {text!r:.40}; give one that can be classified")
        if not ((confidences >= 0) & (confidences <= 1)).all():
            raise DatasetError(path, number, "a confidence lies outside [0, 1]")
        yield number, text, confidences
