"""Triton model `seqcls_model`: token ids in, logits out, by the runtime that was chosen when it was published.

Requests of any lengths arrive together; their rows are sorted by length and run in batches cut by a token budget.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.batching import checked_rows, run_in_batches
from pipeline.bundle import Bundle
from pipeline.errors import ClassifierError
from pipeline.runtimes import create_runtime
from pipeline.tensors import INPUT_IDS, LOGITS


class TritonPythonModel:
    """Runs the graph of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        runtime, precision, threads = (parameters[name]["string_value"] for name in ("runtime", "precision", "threads"))
        bundle = Bundle(Path(__file__).parent)
        self._manifest = bundle.manifest
        self._runtime = create_runtime(bundle, runtime, precision, int(threads) or None)

    def execute(self, requests):
        responses, accepted = [None] * len(requests), {}
        for index, request in enumerate(requests):
            input_ids = pb_utils.get_input_tensor_by_name(request, INPUT_IDS).as_numpy()
            try:
                limits = self._manifest.vocabulary_size, self._manifest.max_seq_length
                accepted[index] = checked_rows(input_ids, *limits)
            except ClassifierError as error:
                failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
                responses[index] = pb_utils.InferenceResponse(error=failure)
        logits = run_in_batches([row for rows in accepted.values() for row in rows], self._runtime.run)
        ends = np.cumsum([len(rows) for rows in accepted.values()], dtype=int)
        for index, part in zip(accepted, np.split(logits, ends)):
            responses[index] = pb_utils.InferenceResponse([pb_utils.Tensor(LOGITS, part)])
        return responses
