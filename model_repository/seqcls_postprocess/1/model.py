"""Triton model `seqcls_postprocess`: logits in, label paths and confidences out."""

import sys
from pathlib import Path

import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.bundle import Bundle
from pipeline.errors import ClassifierError
from pipeline.tensors import CONFIDENCE, LABEL, LOGITS


class TritonPythonModel:
    """Decodes with the hierarchy, thresholds and policy of the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        self._decoder = Bundle(Path(__file__).parent).decoder()

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        logits = pb_utils.get_input_tensor_by_name(request, LOGITS).as_numpy()
        try:
            labels, confidences = self._decoder.decode(logits).ranked()
        except ClassifierError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        return pb_utils.InferenceResponse([pb_utils.Tensor(LABEL, labels), pb_utils.Tensor(CONFIDENCE, confidences)])
