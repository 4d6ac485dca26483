"""BASELINE, Triton model `seqcls_model`: onnxruntime on the raw graph, one request after the other."""

from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Runs the graph that paddle2onnx wrote in float32, on all cores, with the basic graph optimisations alone."""

    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        graph = str(Path(__file__).parent / "model.onnx")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        names = ("input_ids", "token_type_ids")
        inputs = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names}
        (logits,) = self._session.run(["logits"], inputs)
        return pb_utils.InferenceResponse([pb_utils.Tensor("logits", logits)])
