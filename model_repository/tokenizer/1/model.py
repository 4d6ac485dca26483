"""Triton model `tokenizer`: texts in, token ids out. Requests that arrive together are tokenised together.

As the first step it refuses what the server cannot answer soon.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.compute.batching import pad
from pipeline.compute.padded_lengths import pad_to_length
from pipeline.errors import ClassifierError
from pipeline.files.bundle import Bundle
from pipeline.metrics.traffic import token_counts
from pipeline.tensors import ADMISSION, INPUT_IDS, TEXT, TOKEN_TYPE_IDS, TRUNCATED
from pipeline.text.normalisation import decode_text
from serving.triton.backend.admission import Admission, Texts
from serving.triton.backend.counters import Counters
from serving.triton.backend.inherited import close_sockets
from serving.triton.backend.joined import Joined, is_probe

COUNTERS = {
    "texts_total": "Texts that were read",
    "refused_texts_total": "Texts of requests that were refused because of one of their texts",
    "surplus_requests_total": "Requests that were refused because too many texts were under way",
    "truncated_texts_total": "Texts that were longer than the model reads",
    "tokens_total": "Tokens that were read, [CLS] and [SEP] included",
    "unknown_tokens_total": "Tokens that the vocabulary lacks",
}


class TritonPythonModel:
    """Encodes with the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        close_sockets()
        folder = Path(__file__).parent
        self._encoder = Bundle(folder).encoder()
        options = json.loads((folder / "version.json").read_bytes())["options"]
        self._lengths = options["padded_lengths"]
        self._admission = Admission(Texts(args["model_version"]), options["queue_size"])
        self._counters = Counters(args["model_version"], COUNTERS)
        for name in COUNTERS:
            self._counters.add(name, 0)

    def execute(self, requests):
        admissions = []
        joined = Joined(requests, lambda request: self._read(request, admissions))
        encoded = self._encoder.encode_checked(joined.rows)
        for number, admission in zip(joined.unanswered(), admissions):
            joined.respond(number, lambda rows, admission=admission: self._tensors(encoded, rows, admission))
        self._count(encoded.part([not is_probe(requests[owner]) for owner in joined.owners]))
        return joined.responses

    def finalize(self):
        self._counters.close()

    def _read(self, request, admissions):
        try:
            self._admission.check(is_probe(request))
        except ClassifierError:
            self._counters.add("surplus_requests_total", 1)
            raise
        raw = pb_utils.get_input_tensor_by_name(request, TEXT).as_numpy().reshape(-1)
        try:
            texts = [decode_text(text, row) for row, text in enumerate(raw)]
            self._encoder.check(texts)
            admissions.append(self._admission.admit(len(texts), request.timeout()))
        except ClassifierError:
            self._counters.add("refused_texts_total", len(raw))
            raise
        return texts

    def _count(self, encoded):
        for name, count in token_counts(encoded, self._encoder.tokeniser.unknown_id).items():
            self._counters.add(f"{name}_total", count)

    def _tensors(self, encoded, rows, admission):
        input_ids = pad_to_length(pad(encoded.ids[rows]), self._lengths)
        tensors = {
            INPUT_IDS: input_ids,
            TOKEN_TYPE_IDS: np.zeros_like(input_ids),
            ADMISSION: admission,
            TRUNCATED: encoded.truncated[rows, None],
        }
        return [pb_utils.Tensor(name, values) for name, values in tensors.items()]
