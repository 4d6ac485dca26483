"""Triton model `seqcls_postprocess`: logits in; label paths, confidences and scores out.

Requests that arrive together and choose alike are decoded together. Of one that asks why, the rows behind its texts are
copies without some words, see `pipeline.explanation.rows`.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.errors import ClassifierError, ServerError
from pipeline.explanation.neighbours import Neighbours
from pipeline.explanation.rows import taken_apart
from pipeline.files.bundle import Bundle
from pipeline.labels.decoded import Decoded
from pipeline.labels.request_options import DecoderChoice
from pipeline.metrics.traffic import (
    SCORE_BOUNDS,
    SEEN_HELP,
    TOP_LABEL,
    TOP_SCORE,
    TRAFFIC,
    empty_rows,
    inconsistent_rows,
    level_counts,
    seen_traffic,
    top_score_histogram,
)
from pipeline.tensors import ADMISSION, CONFIDENCE, EXPLANATION, LABEL, LINEAR, LOGITS, PIECES, PROMISED, SCORES
from serving.triton.backend.admission import Answers, is_late
from serving.triton.backend.counters import Counters, expect
from serving.triton.backend.counts import Texts
from serving.triton.backend.inherited import close_sockets
from serving.triton.backend.joined import failure, is_probe

COUNTERS = {
    "labels_total": "Labels that were answered, by level of the hierarchy",
    "empty_predictions_total": "Texts that got no label",
    "inconsistent_predictions_total": "Texts whose labels lacked a parent before the policy mended them",
    "late_requests_total": "Requests whose callers had stopped waiting",
    "seen_texts_total": SEEN_HELP,
    "top_score_bucket": "Texts by their highest score, cumulative",
    "top_score_sum": "Sum of the texts' highest scores",
    "top_score_count": "Texts that were answered",
}


class TritonPythonModel:
    """Decodes with the hierarchy, thresholds and policy of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        close_sockets()
        folder = Path(__file__).parent
        bundle = Bundle(folder)
        self._manifest, self._choose = bundle.manifest, DecoderChoice(bundle.decoder())
        self._neighbours = Neighbours.of(bundle)
        self._answers = Answers(Texts(args["model_version"]))
        self._counters = Counters(args["model_version"], COUNTERS, self._count)
        self._counters.add("late_requests_total", 0)
        self._expected = self._manifest.training.get("data", {}).get(TRAFFIC, {})
        bins = {(feature, part): count for feature, parts in self._expected.items() for part, count in parts.items()}
        for feature, part in (each for each in bins if each[0] in (TOP_SCORE, TOP_LABEL)):
            self._counters.add("seen_texts_total", 0, feature=feature, bin=part)
        self._shown = expect(args["model_version"], "expected_texts", "Texts of the development set by feature", bins)
        decoder = self._choose.default
        self._count(decoder, [decoder.decode(np.empty((0, len(decoder.hierarchy)), np.float32))])

    def execute(self, requests):
        responses, alike = [None] * len(requests), defaultdict(list)
        for number, request in enumerate(requests):
            try:
                self._count_answer(request)
                decoder = self._choose(json.loads(request.parameters() or "{}"))
                logits, copies = self._logits(request)
                alike[decoder, is_probe(request)].append((number, logits, copies))
            except ClassifierError as error:
                responses[number] = failure(error)
        for (decoder, probes), read in alike.items():
            numbers, logits, copies = zip(*read)
            for number, response in zip(numbers, self._respond(decoder, logits, copies, not probes)):
                responses[number] = response
        return responses

    def _logits(self, request):
        """Of its texts, and what tells why where it asks."""
        given = (pb_utils.get_input_tensor_by_name(request, name) for name in (LOGITS, LINEAR, PIECES))
        encoder, linear, pieces = (None if tensor is None else tensor.as_numpy() for tensor in given)
        return taken_apart(self._manifest.combine(encoder, linear), pieces)

    def finalize(self):
        self._counters.close()

    def _count_answer(self, request):
        """Raise ServerError where its caller waits no longer: nothing may have been computed then."""
        admission = pb_utils.get_input_tensor_by_name(request, ADMISSION)
        if admission is not None:
            late = is_late(admission.as_numpy())
            self._answers.add(admission.as_numpy(), computed=not late)
            if late:
                self._counters.add("late_requests_total", 1)
                raise ServerError("timeout expired: it was asked for an answer within less time than this took")

    def _respond(self, decoder, logits, copies, counted):
        try:
            decoded = decoder.decode(np.concatenate(logits))
        except ClassifierError as error:
            if len(logits) == 1:
                return [failure(error)]
            return [self._respond(decoder, [part], [own], counted)[0] for part, own in zip(logits, copies)]
        if counted:
            self._counters.later(decoder, decoded, decoded.scores.size)
        ends = np.cumsum([len(part) for part in logits])
        parts = [decoded.part(slice(end - len(part), end)) for part, end in zip(logits, ends)]
        return [self._answer(decoder, *each) for each in zip(parts, logits, copies)]

    def _answer(self, decoder, decoded, logits, copies):
        labels, confidences = decoded.ranked()
        try:
            told = copies.explanations(decoder, decoded, logits, self._neighbours) if copies else ()
        except ClassifierError as error:
            return failure(error)
        why = np.full((len(logits), 1), b"", object)
        why[: len(told), 0] = [each.to_json().encode() for each in told]
        tensors = (
            *((LABEL, labels), (CONFIDENCE, confidences), (SCORES, decoded.scores)),
            *((EXPLANATION, why), (PROMISED, decoder.promised(decoded))),
        )
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, values) for name, values in tensors])

    def _count(self, decoder, batches):
        decoded = Decoded.joined(batches)
        if decoder is self._choose.default and len(decoded.scores):
            for feature, part, count in seen_traffic(decoded, self._expected):
                self._counters.add("seen_texts_total", count, feature=feature, bin=part)
        for level, count in enumerate(level_counts(decoded), 1):
            self._counters.add("labels_total", int(count), level=str(level))
        self._counters.add("empty_predictions_total", empty_rows(decoded))
        self._counters.add("inconsistent_predictions_total", inconsistent_rows(decoder, decoded))
        counts, total = top_score_histogram(decoded)
        for bound, count in zip((*SCORE_BOUNDS, "+Inf"), (*counts, len(decoded.scores))):
            self._counters.add("top_score_bucket", int(count), le=str(bound))
        self._counters.add("top_score_sum", total)
        self._counters.add("top_score_count", len(decoded.scores))
