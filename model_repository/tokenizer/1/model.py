"""Triton model `tokenizer`: texts in, token ids out."""

import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))

from pipeline.batching import pad
from pipeline.bundle import Bundle
from pipeline.errors import ClassifierError
from pipeline.normalisation import decode_text
from pipeline.tensors import INPUT_IDS, TEXT, TOKEN_TYPE_IDS


class TritonPythonModel:
    """Encodes with the part of the bundle that is staged beside this file."""

    def initialize(self, args):
        self._encoder = Bundle(Path(__file__).parent).encoder()

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        raw = pb_utils.get_input_tensor_by_name(request, TEXT).as_numpy().reshape(-1)
        try:
            input_ids = pad(self._encoder.encode([decode_text(text, row) for row, text in enumerate(raw)]))
        except ClassifierError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(INPUT_IDS, input_ids), pb_utils.Tensor(TOKEN_TYPE_IDS, np.zeros_like(input_ids))]
        )
