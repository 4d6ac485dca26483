"""What is counted of the traffic, as the page draws it: by the metrics of a Triton server, or the console's own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.errors import ServerError
from pipeline.metrics.traffic import shift
from pipeline.tensors import ENSEMBLE

FEWEST_TEXTS = 1000
"""By which a shift can be told."""
_COUNTED = {
    "texts": ("text_classifier_texts_total", "text_classifier_console_texts_total"),
    "refused": (
        "text_classifier_refused_texts_total",
        "text_classifier_surplus_requests_total",
        "text_classifier_console_refused_requests_total",
    ),
    "empty": ("text_classifier_empty_predictions_total", "text_classifier_console_texts_without_label_total"),
    "requests": ("nv_inference_request_success_total", "text_classifier_console_request_seconds_count"),
    "seconds": ("text_classifier_console_request_seconds_sum",),
}
"""What makes up each figure: Triton's counters, and the console's, of which a page has but one kind. The parser gives
the names of all counters one ending."""
_SEEN, _EXPECTED = "text_classifier_seen_texts_total", "text_classifier_expected_texts"
_MICROSECONDS = "nv_inference_request_duration_us_total"


def figures(page: str, version: int) -> dict[str, Any]:
    """What was counted since the server started, by a page of Prometheus.

    Args:
        page: of metrics.
        version: of the model, whose texts a shift is told of.

    Returns:
        texts; refused, texts and requests; empty, texts that got no label; requests, and the seconds that they took
        together; shifts, by feature, of `pipeline.metrics.traffic.shift`, where enough texts were seen.

    Raises:
        ServerError: it is no such page.
    """
    from prometheus_client.parser import text_string_to_metric_families  # which the console's environment has

    total: Counter[str] = Counter()
    bins: dict[str, dict[str, dict[str, int]]] = {_SEEN: {}, _EXPECTED: {}}
    try:
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    except ValueError as error:
        raise ServerError(f"what the server tells as its metrics cannot be read: {error}") from None
    for sample in samples:
        if sample.labels.get("model", ENSEMBLE) == ENSEMBLE:
            total[sample.name] += sample.value
        if sample.name in bins and sample.labels.get("version") == str(version):
            feature = bins[sample.name].setdefault(sample.labels["feature"], {})
            feature[sample.labels["bin"]] = int(sample.value)
    told: dict[str, Any] = {name: sum(total[each] for each in parts) for name, parts in _COUNTED.items()}
    told["seconds"] += total[_MICROSECONDS] / 1e6
    told["shifts"] = {
        feature: shift(expected, bins[_SEEN].get(feature, {}))
        for feature, expected in bins[_EXPECTED].items()
        if sum(bins[_SEEN].get(feature, {}).values()) >= FEWEST_TEXTS
    }
    return told
