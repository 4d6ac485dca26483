"""Triton model `seqcls_model`: token ids in, logits out, by the runtime that was chosen when it was published.

Requests of any lengths arrive together; their rows are sorted by length and run in batches cut by a token budget.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.batching import run_in_batches, unpad
from pipeline.bundle import Bundle
from pipeline.runtimes import create_runtime
from pipeline.tensors import INPUT_IDS, LOGITS


class TritonPythonModel:
    """Runs the graph of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        runtime, precision, threads = (parameters[name]["string_value"] for name in ("runtime", "precision", "threads"))
        self._runtime = create_runtime(Bundle(Path(__file__).parent), runtime, precision, int(threads) or None)

    def execute(self, requests):
        batches = [pb_utils.get_input_tensor_by_name(request, INPUT_IDS).as_numpy() for request in requests]
        logits = run_in_batches([row for batch in batches for row in unpad(batch)], self._runtime.run)
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        return [pb_utils.InferenceResponse([pb_utils.Tensor(LOGITS, part)]) for part in np.split(logits, ends)]
