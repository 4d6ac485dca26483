"""Triton model `seqcls_model`: token ids in, logits out, by the runtime that was chosen when it was published.

Requests of any lengths arrive together; their rows are sorted by length and run in batches cut by a token budget.
A request is answered as soon as its last row is computed: its caller's next request is then there before this model
would stand idle.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.batching import checked_rows, iterate_batches, shapes_to_warm
from pipeline.bundle import Bundle
from pipeline.errors import ClassifierError
from pipeline.padded_lengths import lengths_up_to
from pipeline.runtimes import create_runtime, prepares_shapes
from pipeline.tensors import INPUT_IDS, LOGITS
from serving.backend.joined import Joined


class TritonPythonModel:
    """Runs the graph of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        folder = Path(__file__).parent
        options = json.loads((folder / "version.json").read_bytes())["options"]
        bundle = Bundle(folder)
        self._manifest, self._token_budget = bundle.manifest, options["token_budget"]
        self._runtime = create_runtime(bundle, options["runtime"], options["precision"], options["threads"] or None)
        longest = self._manifest.max_seq_length
        self._lengths = lengths_up_to(longest) if prepares_shapes(options["runtime"]) else ()
        for shape in shapes_to_warm(self._lengths or (longest,), self._token_budget):
            self._runtime.run(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def execute(self, requests):
        joined = Joined(requests, self._read)
        logits = np.empty((len(joined.rows), len(self._manifest.labels)), np.float32)
        waiting = np.bincount(joined.owners, minlength=len(requests))
        batches = iterate_batches(joined.rows, self._runtime.run, self._token_budget, self._lengths)
        try:
            for batch, computed in batches:
                logits[batch] = computed
                done = np.bincount(joined.owners[batch], minlength=len(requests))
                waiting -= done
                for number in np.flatnonzero((done > 0) & (waiting == 0)).tolist():
                    joined.respond(number, lambda rows: [pb_utils.Tensor(LOGITS, logits[rows])])
                    if waiting.any():
                        joined.send(number)
        except Exception as error:  # noqa: BLE001 - raised on, it would answer requests a second time
            joined.fail(ClassifierError(f"the runtime failed: {error}"))
        return joined.responses

    def _read(self, request):
        input_ids = pb_utils.get_input_tensor_by_name(request, INPUT_IDS).as_numpy()
        return checked_rows(input_ids, self._manifest.vocabulary_size, self._manifest.max_seq_length)
