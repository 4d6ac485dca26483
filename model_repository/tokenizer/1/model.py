"""Triton model `tokenizer`: texts in, token ids out. Requests that arrive together are tokenised together."""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.batching import pad
from pipeline.bundle import Bundle
from pipeline.errors import ClassifierError
from pipeline.normalisation import decode_text
from pipeline.padded_lengths import pad_to_length
from pipeline.tensors import INPUT_IDS, TEXT, TOKEN_TYPE_IDS
from pipeline.traffic import token_counts
from serving.backend.counters import Counters
from serving.backend.joined import Joined, is_probe

COUNTERS = {
    "texts_total": "Texts that were read",
    "refused_texts_total": "Texts of requests that were refused because of one of their texts",
    "truncated_texts_total": "Texts that were longer than the model reads",
    "tokens_total": "Tokens that were read, [CLS] and [SEP] included",
    "unknown_tokens_total": "Tokens that the vocabulary lacks",
}


class TritonPythonModel:
    """Encodes with the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        folder = Path(__file__).parent
        self._encoder = Bundle(folder).encoder()
        self._lengths = json.loads((folder / "version.json").read_bytes())["options"]["padded_lengths"]
        self._counters = Counters(args["model_version"], COUNTERS)
        for name in COUNTERS:
            self._counters.add(name, 0)

    def execute(self, requests):
        joined = Joined(requests, self._read)
        encoded = self._encoder.encode_checked(joined.rows)
        for number in joined.unanswered():
            joined.respond(number, lambda rows: self._tensors(pad_to_length(pad(encoded.ids[rows]), self._lengths)))
        self._count(encoded.part([not is_probe(requests[owner]) for owner in joined.owners]))
        return joined.responses

    def finalize(self):
        self._counters.close()

    def _read(self, request):
        raw = pb_utils.get_input_tensor_by_name(request, TEXT).as_numpy().reshape(-1)
        try:
            texts = [decode_text(text, row) for row, text in enumerate(raw)]
            self._encoder.check(texts)
        except ClassifierError:
            self._counters.add("refused_texts_total", len(raw))
            raise
        return texts

    def _count(self, encoded):
        for name, count in token_counts(encoded, self._encoder.tokeniser.unknown_id).items():
            self._counters.add(f"{name}_total", count)

    def _tensors(self, input_ids):
        return [pb_utils.Tensor(INPUT_IDS, input_ids), pb_utils.Tensor(TOKEN_TYPE_IDS, np.zeros_like(input_ids))]
