"""Where a run of a graph in OpenVINO spends its time, by kind of operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compute.in_process import fresh_process
from pipeline.compute.batching import TOKEN_BUDGET, pad
from pipeline.compute.packing import pack
from pipeline.compute.runtimes.openvino_runtime import ELEMENT_TYPES, openvino
from pipeline.files.bundle import PACKED_GRAPH_FILE, PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from pipeline.tensors import INPUT_IDS, TOKEN_TYPE_IDS

RUNS = 5
KINDS_SHOWN = 8


def operation_times(bundle: Bundle, precision: str, texts: Sequence[str]) -> dict[str, float]:
    """The share of the time that each kind of operation takes, largest first; the rest is `others`.

    Args:
        precision: a key of ELEMENT_TYPES.
        texts: what one call predicts.
    """
    with fresh_process() as pool:
        spent = Counter(pool.submit(_measure, bundle.path, ELEMENT_TYPES[precision], list(texts)).result())
    whole, shown = sum(spent.values()), spent.most_common(KINDS_SHOWN)
    shares = {kind: round(microseconds / whole, 3) for kind, microseconds in shown}
    return {**shares, "others": round(1 - sum(microseconds for _, microseconds in shown) / whole, 3)}


def _measure(path: Path, element_type: str, texts: list[str]) -> dict[str, int]:
    """Microseconds by kind, of RUNS calls after one that is not counted."""
    bundle = Bundle(path)
    rows = bundle.encoder().encode(texts)
    if PACKED_GRAPH_FILE in bundle.files:
        graph = PACKED_GRAPH_FILE
        batches: list[dict[str, Any]] = [batch.inputs for batch in pack(rows, TOKEN_BUDGET)]
    else:
        graph, padded = PADDLE_GRAPH_FILE, pad(rows)
        batches = [{INPUT_IDS: padded, TOKEN_TYPE_IDS: padded * 0}]
    options = {"INFERENCE_PRECISION_HINT": element_type, "PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": "YES"}
    core = openvino().Core()
    model = core.read_model(bundle.file(graph), bundle.file(PADDLE_PARAMETERS_FILE))
    request = core.compile_model(model, "CPU", options).create_infer_request()
    spent: Counter[str] = Counter()
    for run in range(RUNS + 1):
        for batch in batches:
            request.infer(batch)
            if run:
                for operation in request.get_profiling_info():
                    spent[operation.node_type] += round(operation.real_time.total_seconds() * 1e6)
    return dict(spent)
