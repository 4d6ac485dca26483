"""Triton model `seqcls_model`: token ids in, logits out, by the runtime that was chosen when it was published.

Requests of any lengths arrive together; their rows are packed, or sorted by length, and run in batches cut by a token
budget. Measured beside this (6 x 768, bfloat16, two cores, 32 callers): padding to a few lengths, several instances
with fewer threads, and one thread each are slower.
Batches with rows of the smallest requests are computed first. A request is answered as soon as its last row is: its
caller's next request is then there before this model would stand idle. One whose caller waits no longer is not
computed: the last step, which counts it, says so.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.compute.batching import checked_rows
from pipeline.compute.engine import Engine
from pipeline.errors import ClassifierError
from pipeline.files.bundle import Bundle
from pipeline.tensors import ADMISSION, INPUT_IDS, LOGITS
from serving.triton.backend.admission import is_late
from serving.triton.backend.counts import Texts, Work
from serving.triton.backend.inherited import close_sockets
from serving.triton.backend.joined import Joined


class TritonPythonModel:
    """Runs the graph of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        close_sockets()
        folder = Path(__file__).parent
        options = json.loads((folder / "version.json").read_bytes())["options"]
        bundle = Bundle(folder)
        self._manifest = bundle.manifest
        chosen = (options[name] for name in ("runtime", "precision", "threads", "token_budget"))
        runtime, precision, threads, token_budget = chosen
        device, number = options.get("device", "cpu"), 0
        if device != "cpu":
            device, number = "tensorrt" if options["tensorrt"] else device, int(args["model_instance_device_id"])
        self._engine = Engine(bundle, runtime, precision, threads or None, token_budget, device, number)
        self._engine.warm()
        self._work = Work(Texts(args["model_version"]), args["model_instance_name"], number)

    def execute(self, requests):
        with self._work:
            return self._execute(requests)

    def _execute(self, requests):
        joined = Joined(requests, self._read)
        logits = np.empty((len(joined.rows), len(self._manifest.labels)), np.float32)
        waiting = np.bincount(joined.owners, minlength=len(requests))
        for number in joined.unanswered():
            if waiting[number] == 0:  # its caller waits no longer
                joined.respond(number, lambda _, request=requests[number]: self._nothing(request))
        try:
            turns = waiting[joined.owners]  # how many texts each row's request has: those of few go first
            for batch, computed in self._engine.batches(joined.rows, turns):
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

    def _nothing(self, request):
        rows = len(pb_utils.get_input_tensor_by_name(request, INPUT_IDS).as_numpy())
        return [pb_utils.Tensor(LOGITS, np.full((rows, len(self._manifest.labels)), np.nan, np.float32))]

    def _read(self, request):
        admission = pb_utils.get_input_tensor_by_name(request, ADMISSION)
        if admission is not None and is_late(admission.as_numpy()):
            return []
        input_ids = pb_utils.get_input_tensor_by_name(request, INPUT_IDS).as_numpy()
        return checked_rows(input_ids, self._manifest.vocabulary_size, self._manifest.most_tokens)
