"""Triton model `tokenizer`: texts in, token ids out. Requests that arrive together are tokenised together.

As the first step it refuses what the server cannot answer soon. Behind the texts of a request that asks why stand their
copies without some words, as further rows: to the steps and to the admission they are texts.
"""

import json
import sys
from functools import partial
from itertools import chain, compress
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.compute.batching import pad
from pipeline.compute.padded_lengths import pad_to_length
from pipeline.errors import ClassifierError
from pipeline.explanation.rows import pieces_asked_for, with_copies
from pipeline.files.bundle import Bundle
from pipeline.metrics.traffic import SEEN_HELP, TRAFFIC, seen_texts, text_bins, token_counts
from pipeline.tensors import ADMISSION, EXPLAIN, INPUT_IDS, LINEAR, PIECES, TEXT, TOKEN_TYPE_IDS, TRUNCATED
from pipeline.text.normalisation import decode_text
from pipeline.text.tokenisation import Encoded
from serving.triton.backend.admission import Admission
from serving.triton.backend.counters import Counters
from serving.triton.backend.counts import Texts
from serving.triton.backend.inherited import close_sockets
from serving.triton.backend.joined import Joined, is_probe

COUNTERS = {
    "texts_total": "Texts that were read",
    "refused_texts_total": "Texts of requests that were refused because of one of their texts",
    "surplus_requests_total": "Requests that were refused because too many texts were under way",
    "truncated_texts_total": "Texts that were longer than the model reads",
    "copies_total": "Copies of texts without some words, which were computed to tell why",
    "tokens_total": "Tokens that were read, [CLS] and [SEP] included",
    "unknown_tokens_total": "Tokens that the vocabulary lacks",
    "seen_texts_total": SEEN_HELP,
}


class TritonPythonModel:
    """Encodes with the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        close_sockets()
        folder = Path(__file__).parent
        bundle = Bundle(folder)
        self._encoder = bundle.encoder()
        self._unknown_id = self._encoder.tokeniser.unknown_id
        options = json.loads((folder / "version.json").read_bytes())["options"]
        self._lengths, self._most_rows = options["padded_lengths"], options["max_batch_size"]
        texts, seconds = Texts(args["model_version"]), options["queue_milliseconds"] / 1000
        self._admission = Admission(texts, options["queue_size"], seconds, self._most_rows)
        self._counters = Counters(args["model_version"], COUNTERS, self._count)
        for name in COUNTERS.keys() - {"seen_texts_total"}:
            self._counters.add(name, 0)
        expected = bundle.manifest.training.get("data", {}).get(TRAFFIC, {})
        own = text_bins([], [], self._unknown_id if self._encoder.reads_tokens else None)
        self._expected = {feature: expected[feature] for feature in own if feature in expected}
        for feature, part in ((feature, part) for feature, parts in self._expected.items() for part in parts):
            self._counters.add("seen_texts_total", 0, feature=feature, bin=part)

    def execute(self, requests):
        admitted, are_texts = [], []
        joined = Joined(requests, lambda request: self._read(request, admitted, are_texts))
        encoded = self._encoder.encode_checked(joined.rows)
        for number, (admission, pieces) in zip(joined.unanswered(), admitted):
            tensors = partial(self._tensors, encoded, admission=admission, pieces=pieces)
            joined.respond(number, tensors)
        probes = list(map(is_probe, requests))
        traffic = [not probes[owner] for owner in joined.owners.tolist()]
        batch = (joined.rows, encoded.ids, encoded.truncated, traffic, are_texts)
        self._counters.later(TEXT, batch, sum(map(len, joined.rows)))
        return joined.responses

    def finalize(self):
        self._counters.close()

    def _read(self, request, admitted, are_texts):
        raw = pb_utils.get_input_tensor_by_name(request, TEXT).as_numpy().reshape(-1)
        self._check(request, len(raw))
        try:
            texts = [decode_text(text, row) for row, text in enumerate(raw)]
            self._encoder.check(texts)
            parameters = request.parameters() or ""
            asked = json.loads(parameters) if EXPLAIN in parameters else {}
            pieces = pieces_asked_for(asked, texts, self._encoder)
            rows = with_copies(texts, pieces, self._most_rows)
        except ClassifierError:
            self._counters.add("refused_texts_total", len(raw))
            raise
        if len(rows) > len(raw):
            self._check(request, len(rows))
        admitted.append((self._admission.admit(len(rows), request.timeout()), pieces))
        are_texts += [row < len(texts) for row in range(len(rows))]
        return rows

    def _check(self, request, texts):
        try:
            self._admission.check(texts, is_probe(request))
        except ClassifierError:
            self._counters.add("surplus_requests_total", 1)
            raise

    def _count(self, _, batches):
        texts, ids, truncated, traffic, are_texts = (list(chain.from_iterable(part)) for part in zip(*batches))
        read = [counted and text for counted, text in zip(traffic, are_texts)]
        self._counters.add("copies_total", sum(counted and not text for counted, text in zip(traffic, are_texts)))
        texts, encoded = list(compress(texts, read)), Encoded(ids, np.array(truncated, bool)).part(read)
        for name, count in token_counts(encoded, self._unknown_id).items():
            self._counters.add(f"{name}_total", count)
        for feature, part, count in seen_texts(text_bins(texts, encoded.ids, self._unknown_id), self._expected):
            self._counters.add("seen_texts_total", count, feature=feature, bin=part)

    def _tensors(self, encoded, rows, admission, pieces):
        input_ids = pad_to_length(pad(encoded.ids[rows]), self._lengths)
        tensors = {
            INPUT_IDS: input_ids,
            TOKEN_TYPE_IDS: np.zeros_like(input_ids),
            ADMISSION: admission,
            TRUNCATED: encoded.truncated[rows, None],
        }
        if pieces:  # else none are passed on, which would take a twentieth of the time that one text takes
            tensors[TRUNCATED] = tensors[TRUNCATED][: len(pieces)]
            tensors[PIECES] = np.full((len(input_ids), 1), b"", object)
            tensors[PIECES][: len(pieces), 0] = [each.to_json().encode() for each in pieces]
        if encoded.linear is not None:
            tensors[LINEAR] = encoded.linear[rows]
        return [pb_utils.Tensor(name, values) for name, values in tensors.items()]
