"""BASELINE, Triton model `tokenizer`: paddlenlp's tokeniser, one request after the other."""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from paddlenlp.transformers import AutoTokenizer


class TritonPythonModel:
    """Tokenises with the vocabulary beside this file."""

    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self._max_length = int(parameters["max_length"]["string_value"])
        self._tokeniser = AutoTokenizer.from_pretrained(str(Path(__file__).parent))

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        raw = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy().reshape(-1)
        texts = [text.decode("utf-8") for text in raw]
        encoded = self._tokeniser(texts, max_length=self._max_length, padding=True, truncation=True)
        names = ("input_ids", "token_type_ids")
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, np.array(encoded[name], dtype=np.int64)) for name in names]
        )
