"""Triton model `seqcls_postprocess`: logits in; label paths, confidences and scores out.

Requests that arrive together and choose alike are decoded together.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.errors import ClassifierError, ServerError
from pipeline.files.bundle import Bundle
from pipeline.labels.request_options import DecoderChoice
from pipeline.metrics.traffic import SCORE_BOUNDS, empty_rows, inconsistent_rows, level_counts, top_score_histogram
from pipeline.tensors import ADMISSION, CONFIDENCE, LABEL, LOGITS, SCORES
from serving.triton.backend.admission import Answers, Texts, is_late
from serving.triton.backend.counters import Counters
from serving.triton.backend.inherited import close_sockets
from serving.triton.backend.joined import failure, is_probe

COUNTERS = {
    "labels_total": "Labels that were answered, by level of the hierarchy",
    "empty_predictions_total": "Texts that got no label",
    "inconsistent_predictions_total": "Texts whose labels lacked a parent before the policy mended them",
    "late_requests_total": "Requests whose callers had stopped waiting",
    "top_score_bucket": "Texts by their highest score, cumulative",
    "top_score_sum": "Sum of the texts' highest scores",
    "top_score_count": "Texts that were answered",
}


class TritonPythonModel:
    """Decodes with the hierarchy, thresholds and policy of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        close_sockets()
        folder = Path(__file__).parent
        self._choose = DecoderChoice(Bundle(folder).decoder())
        queue_size = json.loads((folder / "version.json").read_bytes())["options"]["queue_size"]
        self._answers = Answers(Texts(args["model_version"]), 2 * queue_size)
        self._counters = Counters(args["model_version"], COUNTERS)
        self._counters.add("late_requests_total", 0)
        decoder = self._choose.default
        self._count(decoder, decoder.decode(np.empty((0, len(decoder.hierarchy)), np.float32)))

    def execute(self, requests):
        responses, alike = [None] * len(requests), defaultdict(list)
        for number, request in enumerate(requests):
            try:
                self._count_answer(request)
                decoder = self._choose(json.loads(request.parameters() or "{}"))
                alike[decoder, is_probe(request)].append(number)
            except ClassifierError as error:
                responses[number] = failure(error)
        for (decoder, probes), numbers in alike.items():
            logits = [pb_utils.get_input_tensor_by_name(requests[number], LOGITS).as_numpy() for number in numbers]
            for number, response in zip(numbers, self._respond(decoder, logits, not probes)):
                responses[number] = response
        return responses

    def finalize(self):
        self._counters.close()

    def _count_answer(self, request):
        """Raise ServerError where its caller waits no longer: nothing may have been computed then."""
        admission = pb_utils.get_input_tensor_by_name(request, ADMISSION)
        if admission is not None:
            self._answers.add(admission.as_numpy())
            if is_late(admission.as_numpy()):
                self._counters.add("late_requests_total", 1)
                raise ServerError("timeout expired: it was asked for an answer within less time than this took")

    def _respond(self, decoder, logits, counted):
        try:
            decoded = decoder.decode(np.concatenate(logits))
        except ClassifierError as error:
            if len(logits) == 1:
                return [failure(error)]
            return [self._respond(decoder, [part], counted)[0] for part in logits]
        if counted:
            self._count(decoder, decoded)
        ends = np.cumsum([len(part) for part in logits])
        return [self._answer(decoded.part(slice(end - len(part), end))) for part, end in zip(logits, ends)]

    def _answer(self, decoded):
        labels, confidences = decoded.ranked()
        tensors = ((LABEL, labels), (CONFIDENCE, confidences), (SCORES, decoded.scores))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, values) for name, values in tensors])

    def _count(self, decoder, decoded):
        for level, count in enumerate(level_counts(decoded), 1):
            self._counters.add("labels_total", int(count), level=str(level))
        self._counters.add("empty_predictions_total", empty_rows(decoded))
        self._counters.add("inconsistent_predictions_total", inconsistent_rows(decoder, decoded))
        counts, total = top_score_histogram(decoded)
        for bound, count in zip((*SCORE_BOUNDS, "+Inf"), (*counts, len(decoded.scores))):
            self._counters.add("top_score_bucket", int(count), le=str(bound))
        self._counters.add("top_score_sum", total)
        self._counters.add("top_score_count", len(decoded.scores))
