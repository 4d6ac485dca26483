"""What the tests of Triton's own backends share: these backends are in NVIDIA's container alone."""

from __future__ import annotations

import json

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from serving.triton import repository as repository_module
from serving.triton.configs import ensemble
from serving.triton.configs.native import native_model
from serving.triton.options import ServingOptions

OPTIONS = ServingOptions(backend="native", queue_size=512)
STAND_IN = """
import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(Path(__file__).with_name("model.onnx")), options)

    def execute(self, requests):
        names = ("input_ids", "token_type_ids")
        inputs = [[pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names]
                  for request in requests]
        with Path(__file__).with_name("shapes").open("a") as log:
            print(json.dumps([ids.shape for ids, _ in inputs]), file=log)
        joined = self.session.run(["logits"], dict(zip(names, map(np.concatenate, zip(*inputs)))))[0]
        parts = np.split(joined, np.cumsum([len(ids) for ids, _ in inputs])[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("logits", part)]) for part in parts]
"""
"""A Python model that computes what it is given, as it is given it, and writes down the shapes of each batch."""


def let_python_stand_in(monkeypatch, folder):
    """Let the Python backend take the place of a native one, everything else being published as it is."""
    adapter = folder / "stand_in" / "model.py"
    adapter.parent.mkdir()
    adapter.write_text(STAND_IN)

    def in_python(*arguments):
        config = native_model(*arguments)
        config.backend, config.default_model_filename = "python", ""
        return config

    source = repository_module._source
    monkeypatch.setattr(ensemble, "native_model", in_python)
    monkeypatch.setattr(
        repository_module, "_source", lambda model: adapter if model == "seqcls_model" else source(model)
    )


def published_config(repository):
    """The configuration of the model that a repository holds."""
    text = (repository.path / "seqcls_model" / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def computed_shapes(repository):
    """Per batch the shapes of the requests in it, those of the warm-up included."""
    (log,) = repository.path.glob("seqcls_model/*/shapes")
    return [[tuple(shape) for shape in json.loads(line)] for line in log.read_text().splitlines()]
