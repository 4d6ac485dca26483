"""Whether the words that an explanation names carry the label: comprehensiveness and sufficiency, beside random words.

Comprehensiveness is what a label's score falls by without the named words, sufficiency what it falls by with these
words alone (DeYoung et al. 2020, ERASER): of a good explanation the first is large and the second small.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.command import announce
from pipeline.explanation.reasons import explained
from pipeline.explanation.words import Spans, without, word_spans
from pipeline.files.dataset import read_examples
from pipeline.labels.decoding import Answer, sigmoid
from pipeline.output import counted
from training.analysis.evaluation import LabelledFile
from training.checkpoint.classifier import Classifier

SEED = 3
FIGURES = ("comprehensiveness", "random_comprehensiveness", "sufficiency", "random_sufficiency")
"""In the order in which copies of a text are made for them."""


def faithfulness(classifier: Classifier, file: LabelledFile, most: int) -> dict[str, Any]:
    """What explanations of some texts of a file are worth.

    Args:
        classifier: the model.
        file: its texts, from its beginning to its end, are explained: every n-th.
        most: texts.

    Returns:
        Values that JSON can hold; means over the labels that were answered and explained:

        - texts, labels: how many were explained; unexplained: labels of which no words were named.
        - words: that were named of a label, mean.
        - comprehensiveness, sufficiency: of the score, in [-1, 1]; None where no label was explained.
        - random_comprehensiveness, random_sufficiency: of as many words of the text, drawn at random.

    Raises:
        InputError: the model reads texts in a way of its own.
        ClassifierError: its scores are not finite.
    """
    step = -(-file.rows // most)
    chosen = islice(read_examples(file.path, classifier.hierarchy), 0, None, step)
    texts = [example.text for example in chosen]
    encoder, draw = classifier.checked_encoder(texts), random.Random(SEED)
    announce(f"explaining {counted(len(texts), 'text')} of {file.path.name}")
    answers = explained(texts, encoder, classifier.decoder, classifier.read)
    falls: list[np.ndarray] = []
    named = unexplained = 0
    for text, answer in zip(tqdm(texts, leave=False, disable=not sys.stderr.isatty()), answers):
        for column, words, others in _compared(text, answer, classifier, draw):
            left_out = (words, others, _rest(text, words), _rest(text, others))
            copies = [without(text, each) for each in left_out]
            logits = classifier.decoder.calibrated(classifier.logits([text, *copies]))
            scores = sigmoid(logits[:, column])
            falls.append(scores[0] - scores[1:])
            named += len(words)
        unexplained += sum(not words for words in answer.why.labels.values()) if answer.why else 0
    means = np.mean(falls, axis=0).tolist() if falls else [None] * len(FIGURES)
    return {
        "texts": len(texts),
        "labels": len(falls),
        "unexplained": unexplained,
        "words": named / max(1, len(falls)),
        **dict(zip(FIGURES, means)),
    }


def _compared(
    text: str, answer: Answer, classifier: Classifier, draw: random.Random
) -> Iterator[tuple[int, Spans, Spans]]:
    """Of each explained label its column, the words that were named, and as many of the text's at random."""
    if answer.why is None:
        return
    spans = [span for span in word_spans(text, len(text)) if span[1] <= answer.why.until]
    for label, reasons in answer.why.labels.items():
        words = [span for span in spans if any(each.start <= span[0] < each.end for each in reasons)]
        if words:
            yield classifier.hierarchy.index[label], words, sorted(draw.sample(spans, len(words)))


def _rest(text: str, words: Spans) -> Spans:
    return [span for span in word_spans(text, len(text)) if span not in words]


def in_words(figures: dict[str, Any]) -> str:
    """The figures in a line."""
    if not figures["labels"]:
        return f"explanations of {counted(figures['texts'], 'text')}: no label was explained"
    fall, random_fall, left, random_left = (figures[name] for name in FIGURES)
    return (
        f"explanations of {counted(figures['texts'], 'text')}, {figures['words']:.1f} words of a label: without them "
        f"its score falls by {fall:.3f}, without as many random words by {random_fall:.3f} (comprehensiveness); with "
        f"them alone by {left:.3f}, with as many random words by {random_left:.3f} (sufficiency)"
    )
