"""BASELINE, see the package: started by `server.py` in an environment of its own, with the folder that it wrote."""

from __future__ import annotations

import json
import sys
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
from paddle_serving_server.pipeline import Op, PipelineServer
from paddle_serving_server.pipeline.pipeline_server import PipelineServicer
from paddle_serving_server.pipeline.proto import pipeline_service_pb2_grpc
from paddle_serving_server.web_service import WebService

THRESHOLD = 0.5


class SeqClsOp(Op):
    """Tokenises and decodes one request."""

    folder: Path

    def init_op(self):
        from paddlenlp.transformers import AutoTokenizer

        self.tokeniser = AutoTokenizer.from_pretrained(str(self.folder / "tokeniser"))
        self.labels, self.max_length = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    def preprocess(self, input_dicts, data_id, log_id):
        (fields,) = input_dicts.values()
        texts = json.loads(fields["sentence"])
        encoded = self.tokeniser(texts, max_length=self.max_length, padding=True, truncation=True)
        feed = {name: np.array(encoded[name], "int64") for name in ("input_ids", "token_type_ids")}
        return feed, False, None, ""

    def postprocess(self, input_dicts, fetch_dict, data_id, log_id):
        answers = []
        for row in 1 / (1 + np.exp(-fetch_dict["logits"])):
            answer = []
            for column, score in enumerate(row):
                if score > THRESHOLD:
                    answer.append({"label": self.labels[column], "confidence": float(score)})
            answers.append(answer)
        return {"label": json.dumps(answers, ensure_ascii=False)}, None, ""


class LoopbackServer(PipelineServer):
    """Upstream's server, on loopback and without HTTP."""

    def run_server(self):
        server = grpc.server(futures.ThreadPoolExecutor(self._worker_num))
        servicer = PipelineServicer(self._name, self._response_op, self._conf)
        pipeline_service_pb2_grpc.add_PipelineServiceServicer_to_server(servicer, server)
        server.add_insecure_port(f"127.0.0.1:{self._rpc_port}")
        server.start()
        server.wait_for_termination()


class SeqClsService(WebService):
    """One operator."""

    def get_pipeline_response(self, read_op):
        return SeqClsOp(name="seq_cls", input_ops=[read_op])


def main(folder: Path) -> None:
    SeqClsOp.folder = folder
    service = SeqClsService("seq_cls")
    service._server = LoopbackServer("seq_cls")
    service.prepare_pipeline_config(str(folder / "config.yml"))
    service.run_service()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
