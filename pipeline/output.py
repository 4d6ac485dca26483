"""How predictions are shown: as a tree or level by level for people, as rows or JSON lines for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from pipeline.files.dataset import join_labels
from pipeline.labels.answers import Prediction
from pipeline.labels.hierarchy import CONTROL_CHARACTERS, SEPARATOR, parent_path
from pipeline.tensors import CONFIDENCE, EXPLANATION, LABEL, PROMISED, TRUNCATED

NO_LABEL = "(no label is sure enough)"
"""Of thresholds as of a promise."""
NO_WORD = "(no words by themselves)"
NO_ROW = "(no training row)"
LIKE_CHARACTERS = 60
"""Of a training row for people; programs get what the model holds of it."""

_FORMULA = re.compile(r"=|[@+-]\S*[(|!]")


def counted(count: int, noun: str) -> str:
    """`1 row`, `2 rows`; of a noun whose plural takes an s."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def shortened(text: str, most: int) -> str:
    """`text`; of a longer one so many characters, of which the last is `…`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut_in_words(cut: int, texts: int, max_seq_length: int | None = None) -> str:
    """`3 of 200 texts were longer than 128 tokens and were read in part`."""
    limit = f"{max_seq_length} tokens" if max_seq_length else "the model reads"
    verb = "was" if cut == 1 else "were"
    return f"{cut:,} of {counted(texts, 'text')} {verb} longer than {limit} and {verb} read in part"


def as_json_line(text: str, predictions: Sequence[Prediction]) -> str:
    """`{"text": ..., "labels": [{"label": path, "confidence": p}, ...]}`, most confident first.

    `"promised": p` stands with each label where the predictions tell what is promised, `"truncated": true` follows, or
    false, where they tell it, and `"explanation"` where they have one.
    """
    labels: list[dict[str, Any]] = [
        {LABEL: label, CONFIDENCE: round(confidence, 6)} for label, confidence in predictions
    ]
    if promised := getattr(predictions, PROMISED, None):
        for label, precision in zip(labels, promised):
            label[PROMISED] = precision
    fields: dict[str, Any] = {"text": text, "labels": labels}
    if (truncated := getattr(predictions, TRUNCATED, None)) is not None:
        fields[TRUNCATED] = truncated
    if why := getattr(predictions, "why", None):
        fields[EXPLANATION] = why.fields()
    line = json.dumps(fields, ensure_ascii=False)
    return CONTROL_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def as_row(text: str, predictions: Sequence[Prediction]) -> str:
    """The text, its label paths and their confidences, between tabs; the first two are a row of a dataset file.

    An explanation is a column more, or two where the model holds training rows. See `as_cell` for what is shown of the
    text, of the labels and of that.
    """
    labels = join_labels(prediction.label for prediction in predictions)
    confidences = ",".join(f"{prediction.confidence:.6f}" for prediction in predictions)
    why = "".join(f"\t{as_cell(line)}" for line in _why(predictions))
    return f"{as_cell(text)}\t{as_cell(labels)}\t{confidences}{why}"


def as_cell(text: str) -> str:
    """`text` for a column of a file: a control character, a tab or a line break among them, becomes a space; and before
    what a spreadsheet would compute, such as `=1+1`, stands one."""
    shown = CONTROL_CHARACTERS.sub(" ", text)
    return f" {shown}" if _FORMULA.match(shown) else shown


def as_levels(text: str, predictions: Sequence[Prediction]) -> str:
    """The text, its label paths as in a dataset file, and a line for each level of the hierarchy with confidences."""
    levels: dict[int, list[str]] = {}
    for label, confidence in predictions:
        levels.setdefault(label.count(SEPARATOR) + 1, []).append(f"{label} ({confidence:.3f})")
    result = join_labels(prediction.label for prediction in predictions)
    lines = [f"text: {_shown(text)}", f"prediction result: {result or NO_LABEL}"]
    lines += [f"level {level}: {', '.join(shown)}" for level, shown in sorted(levels.items())]
    return "\n".join([*lines, *_why(predictions), "-" * 28])


def as_tree(text: str, predictions: Sequence[Prediction]) -> str:
    """The text, and below it its label paths as a tree with confidences."""
    lines = tree_lines({label: f"{confidence:.3f}" for label, confidence in predictions})
    return "\n".join([_shown(text), *(f"  {line}" for line in [*(lines or [NO_LABEL]), *_why(predictions)])])


def tree_lines(captions: Mapping[str, str]) -> list[str]:
    """Label paths as a tree, a line each, with what is said of each one; siblings in the order in which they come."""
    children: dict[str | None, list[str]] = {}
    for label in captions:
        parent = parent_path(label)
        children.setdefault(parent if parent in captions else None, []).append(label)
    lines: list[str] = []

    def add(parent: str | None, indent: str) -> None:
        below = children.get(parent, [])
        for label in below:
            last = label is below[-1]
            # An inconsistent answer can hold a label without its parent: it is then shown with its whole path.
            name = label.rpartition(SEPARATOR)[2] if parent else label
            lines.append(f"{indent}{'└─' if last else '├─'} {name}  {captions[label]}")
            add(label, indent + ("   " if last else "│  "))

    add(None, "")
    return lines


def _why(predictions: Sequence[Prediction]) -> list[str]:
    """An explanation in a line: `why: 组织关系##裁员: 裁员 -0.841, 两千 -0.032; ...`; none where there is none.

    Of a model that holds training rows the nearest follow in another one: `like: 组织关系##裁员: 0.71 ...`.
    """
    why = getattr(predictions, "why", None)
    if not why:
        return []
    said = (
        f"{label}: {', '.join(f'{_shown(word.text)} {-word.drop:+.3f}' for word in words) or NO_WORD}"
        for label, words in why.labels.items()
    )
    lines = [f"why: {'; '.join(said) or NO_LABEL}"]
    if why.neighbours is not None:
        near = (
            f"{label}: "
            + (f"{rows[0].similarity:.2f} {shortened(_shown(rows[0].text), LIKE_CHARACTERS)}" if rows else NO_ROW)
            for label, rows in why.neighbours.items()
        )
        lines.append(f"like: {'; '.join(near) or NO_LABEL}")
    return lines


def _shown(text: str) -> str:
    return CONTROL_CHARACTERS.sub(lambda found: "\t" if found[0] == "\t" else " ", text)


FORMATS: dict[str, Callable[[str, Sequence[Prediction]], str]] = {
    "text": as_levels,
    "tree": as_tree,
    "tsv": as_row,
    "jsonl": as_json_line,
}
"""Of one text each; what they give takes a line break at its end."""
