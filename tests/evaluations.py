"""A made evaluation, as the report is given one."""

from __future__ import annotations

LABELS = (
    "组织关系",
    "组织关系##裁员",
    "组织关系##加盟",
    "司法行为",
    "司法行为##起诉",
    "a_long_label_without_a_break" * 4,
)


def scores(f1: float, support: int = 10) -> dict:
    return {"support": support, "precision": f1, "recall": f1, "f1": f1}


def averages(score: float) -> dict:
    return {f"{kind}_{name}": score for kind in ("micro", "macro") for name in ("f1", "precision", "recall")}


def evaluation(labels=LABELS, rows=60, title="checkpoint on dev.txt", **changes) -> dict:
    """An evaluation in which each label is a little better than the one before it; the last has no rows."""
    depth = max(label.count("##") for label in labels) + 1
    step = 1 / len(labels)
    summary = {
        **averages(0.8765),
        **{f"hierarchical_{name}": 0.9 for name in ("precision", "recall", "f1")},
        **dict.fromkeys(("constrained_micro_f1", "constrained_macro_f1", "consistent_share"), 0.85),
        **dict.fromkeys(("accuracy", "precision_at_1", "precision_at_3", "precision_at_5"), 0.75),
        "calibration_error": 0.0321,
    }
    example = {
        "title": title,
        "train_rows": 500,
        "rows": rows,
        "summary": summary,
        "levels": [{"level": level, "labels": 3, **averages(0.8), "accuracy": 0.7} for level in range(1, depth + 1)],
        "labels": [
            {
                "label": label,
                "level": label.count("##") + 1,
                "threshold": 0.5,
                "train": scores(0.99),
                "dev": scores(0.3 + 0.6 * step * i, 0 if not rows or label == labels[-1] else 10),
            }
            for i, label in enumerate(labels)
        ],
        "threshold_curve": {"thresholds": [0.25, 0.5, 0.75]} | {name: [0.7, 0.8765, 0.6] for name in averages(0)},
        "calibration": [
            {"low": i / 5, "high": (i + 1) / 5, "confidence": i / 5 + 0.1, "accuracy": i / 5, "count": 10**i}
            for i in range(5)
        ],
        "uncalibrated": None,
        "found_here": [],
        "promised": None,
        "confusions": [{"missed": labels[1], "predicted": labels[-2], "count": 7}],
        "bad_cases": {
            "total": 3,
            "shown": [
                bad_case("公司宣布裁员 in Berlin", [labels[0], labels[1]], [labels[0], labels[-2]]),
                bad_case("法院受理起诉", [labels[3 % len(labels)]], []),
                bad_case("x" * 3000, [], [labels[1]]),
            ],
        },
    }
    return {**example, **changes}


def bad_case(text: str, labels: list[str], predictions: list[str]) -> dict:
    return {"text": text, "labels": labels, "predictions": [{"label": x, "confidence": 0.75} for x in predictions]}
