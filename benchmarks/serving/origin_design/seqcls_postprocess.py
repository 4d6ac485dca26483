"""BASELINE, Triton model `seqcls_postprocess`: sigmoid by paddle, and the names of the labels above 0.5."""

import json
from pathlib import Path

import numpy as np
import paddle
import triton_python_backend_utils as pb_utils

THRESHOLD = 0.5


class TritonPythonModel:
    """Answers with the label names beside this file."""

    def initialize(self, args):
        self._labels = json.loads((Path(__file__).parent / "labels.json").read_text(encoding="utf-8"))

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        logits = pb_utils.get_input_tensor_by_name(request, "logits").as_numpy()
        scores = paddle.nn.functional.sigmoid(paddle.to_tensor(logits)).numpy()
        chosen = [[column for column, score in enumerate(row) if score > THRESHOLD] for row in scores]
        width = max(1, *map(len, chosen))
        labels = np.full((len(chosen), width), "", dtype=object)
        confidences = np.zeros((len(chosen), width), dtype=np.float32)
        for row, columns in enumerate(chosen):
            labels[row, : len(columns)] = [self._labels[column] for column in columns]
            confidences[row, : len(columns)] = scores[row, columns]
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("label", labels), pb_utils.Tensor("confidence", confidences)]
        )
