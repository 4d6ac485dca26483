"""What an evaluation found, on a screenful: averages, the worst and best labels, what is taken for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.output import counted
from training.analysis.faithfulness import in_words

SHOWN_LABELS = 5
SHOWN_CONFUSIONS = 5


def summary(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The lines; figures in percent. What is given is of `training.analysis.evaluation.measure`, with a `title`."""
    averages, labels = evaluation["summary"], evaluation["labels"]
    yield f"{evaluation['title']}: {counted(evaluation['rows'], 'row')}, {counted(len(labels), 'label')}"
    if reading := evaluation["reading"]:
        yield (
            f"{100 * reading['cut']:.1f} % of the texts are longer than {reading['length']} tokens and were cut; "
            f"{100 * reading['read']:.1f} % of all tokens were read, {100 * reading['unknown']:.2f} % of them unknown"
        )
    yield ""
    yield f"{'':14}{'precision':>10}{'recall':>8}{'F1':>8}"
    for name in ("micro", "macro", "hierarchical"):
        figures = (averages[f"{name}_{each}"] for each in ("precision", "recall", "f1"))
        yield f"{name:14}" + "".join(f"{100 * figure:{width}.2f}" for figure, width in zip(figures, (10, 8, 8)))
    for level in evaluation["levels"]:
        yield (
            f"level {level['level']}: {counted(level['labels'], 'label')}, micro F1 {_percent(level['micro_f1'])}, "
            f"macro F1 {_percent(level['macro_f1'])}, accuracy {_percent(level['accuracy'])}"
        )
    yield (
        f"accuracy (the whole label set is right) {_percent(averages['accuracy'])}, consistent sets "
        f"{_percent(averages['consistent_share'])}"
    )
    yield f"calibration error {_calibration(averages)}" + (
        f" (before calibration {_calibration(before)})" if (before := evaluation["uncalibrated"]) else ""
    )
    if explanations := evaluation.get("explanations"):
        yield in_words(explanations)
    yield from _of_promises(evaluation["promised"])
    if found := evaluation["found_here"]:
        yield f"found on these very rows: {' and '.join(found)}; --data_file test.txt is fairer to judge by"
    yield from _of_labels(labels)
    if confusions := evaluation["confusions"]:
        yield ""
        yield "taken for another most often:"
        for pair in confusions[:SHOWN_CONFUSIONS]:
            yield f"  {pair['count']:>5} x  {pair['missed']}  as  {pair['predicted']}"
    yield ""
    yield f"{evaluation['bad_cases']['total']:,} of {counted(evaluation['rows'], 'row')} are wrong"


def _of_promises(promised: Mapping[str, Any] | None) -> Iterator[str]:
    for promise in promised["promises"] if promised else ():
        for number, level in enumerate(promise["levels"], start=1):
            if level["precision"] is None:
                yield f"promise {promise['precision']:g}, level {number}: no label is promised"
                continue
            kept = "" if level["kept"] is None else f"; kept in {100 * level['kept']:.0f} of 100 re-splits"
            yield (
                f"promise {promise['precision']:g}, level {number}: {_percent(level['precision'])} right, for "
                f"{_percent(level['coverage'])} of the texts{kept}"
            )


def _of_labels(labels: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The labels that rows have, by F1, the worst first; more than fit are left out from the middle."""
    measured = [each for each in labels if each["dev"]["support"]]
    measured.sort(key=lambda each: (each["dev"]["f1"], -each["dev"]["support"]))
    if absent := len(labels) - len(measured):
        yield f"{absent:,} of {counted(len(labels), 'label')} have no row: macro F1 counts each of them as 0"
    parts = {"lowest F1": measured[:SHOWN_LABELS], "highest F1": measured[SHOWN_LABELS:][-SHOWN_LABELS:][::-1]}
    if len(measured) <= 2 * SHOWN_LABELS:
        parts = {"by F1": measured}
    for title, shown in parts.items():
        yield ""
        yield f"{title:14}{'precision':>10}{'recall':>8}{'F1':>8}{'rows':>8}{'in train':>10}"
        for each in shown:
            scores, train = each["dev"], each["train"]
            yield (
                f"{'':14}{_percent(scores['precision']):>10}{_percent(scores['recall']):>8}{_percent(scores['f1']):>8}"
                f"{scores['support']:>8,}{train['support'] if train else '-':>10}  {each['label']}"
            )


def _calibration(figures: Mapping[str, Any]) -> str:
    errors = (_percent(figures[name]) for name in ("calibration_error", "answered_calibration_error"))
    return "{}, of answered labels {}".format(*errors)


def _percent(score: float) -> str:
    return f"{100 * score:.2f}"
