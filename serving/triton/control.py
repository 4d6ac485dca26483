"""Talk to a running Triton server over HTTP as its operator: load models, ask for golden answers."""

from __future__ import annotations

import http.client
import json
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ServerError
from pipeline.records import parse_json
from pipeline.served import ServedModel
from pipeline.tensors import ABOUT, ADMISSION, ENSEMBLE, INPUT_IDS, LABEL, LINEAR, LOGITS, PROBE, TEXT, TOKEN_TYPE_IDS
from serving.golden import GOLDEN_SECONDS, Expected, Refused
from serving.triton.admin_key import HTTP_HEADER, probe_secret
from serving.triton.configs.ensemble import MODEL, POSTPROCESS, TOKENISER, common_version
from serving.triton.front.door import UnixConnection

LOAD_SECONDS = 300.0
LIVE_SECONDS, LIVE_FAULTS = 5.0, 2
"""While a server loads a model it is asked so often whether it is alive, and given up after so many silences."""


class Unreachable(ServerError):
    """Nobody answers, or not in time."""


@dataclass(frozen=True)
class ServerControl:
    """One server.

    Attributes:
        address: `host:port` of its HTTP service.
        key: the key for its administrative services.
        probe: `admin_key.probe_secret` of a key that this does not have.
        socket: path of the Unix socket to ask it by, instead of the address.
        started_here: whether it was started from here, on the folder that the command speaks of.
        metrics: `host:port` of its metrics, where they are known.
    """

    address: str
    key: str = ""
    probe: str = ""
    socket: str = ""
    started_here: bool = False
    metrics: str = ""

    def is_ready(self) -> bool:
        """Whether the server says so itself; it does even where every request fails."""
        try:
            self._call("GET", "/v2/health/ready", None, 1.0)
        except ServerError:
            return False
        return True

    def load(self, model: str, config: str = "") -> None:
        """Load a model as its folder says now, or by another configuration in JSON; what is loaded and unchanged stays.

        Raises:
            ServerError: it does not load; the message has Triton's reason.
            Unreachable: the server does not answer, nor tell meanwhile that it is alive.
        """
        body = {"parameters": {"config": config}} if config else {}
        self._call("POST", f"/v2/repository/models/{model}/load", body, LOAD_SECONDS, long=True)

    def unload(self, model: str) -> None:
        """Unload a model; requests that were accepted are answered. Raises as `load` does."""
        self._call("POST", f"/v2/repository/models/{model}/unload", {}, LOAD_SECONDS, long=True)

    def ready_versions(self, model: str) -> list[int]:
        """The versions of a model that can be asked."""
        index = self._call("POST", "/v2/repository/index", {"ready": True}, GOLDEN_SECONDS)
        return sorted(int(entry["version"]) for entry in index if entry["name"] == model)

    def pinned_version(self, seconds: float = GOLDEN_SECONDS) -> int | None:
        """The version of the components that the ensemble answers by; None where it is pinned to none."""
        return common_version(
            int(step["model_version"]) for step in self._config(seconds)["ensemble_scheduling"]["step"]
        )

    def model(self, seconds: float = GOLDEN_SECONDS) -> ServedModel | None:
        """What it says of the model that it answers by; None where an earlier release published that."""
        about = self._config(seconds).get("parameters", {}).get(ABOUT)
        return ServedModel.from_json(about["string_value"], self.address) if about else None

    def _config(self, seconds: float) -> dict[str, Any]:
        return self._call("GET", f"/v2/models/{ENSEMBLE}/config", None, seconds)

    def labels(
        self, texts: Sequence[str], version: int | None = None, seconds: float = GOLDEN_SECONDS
    ) -> list[set[str]]:
        """Per text its labels, from the ensemble, or from the components of one version."""
        tensors = {TEXT: _tensor(TEXT, "BYTES", [len(texts), 1], list(texts))}
        if version is None:
            tensors |= self._infer(ENSEMBLE, None, [tensors[TEXT]], LABEL, seconds)
        else:
            for model, takes, gives in (
                (TOKENISER, {TEXT}, ""),  # all, as versions of earlier releases give no ADMISSION
                (MODEL, {INPUT_IDS, TOKEN_TYPE_IDS}, LOGITS),
                (POSTPROCESS, {LOGITS, ADMISSION, LINEAR}, LABEL),
            ):
                inputs = [tensors[name] for name in takes & tensors.keys()]
                tensors |= self._infer(model, version, inputs, gives, seconds)
        rows, columns = tensors[LABEL]["shape"]
        flat = tensors[LABEL]["data"]
        return [set(filter(None, flat[row * columns : (row + 1) * columns])) for row in range(rows)]

    def check(
        self,
        expected: Sequence[Expected],
        version: int | None = None,
        seconds: float = GOLDEN_SECONDS,
        most: int | None = None,
    ) -> None:
        """Ask golden texts, of the ensemble or of one version.

        Args:
            expected: the texts and what they must get.
            version: of the components; None for the ensemble.
            seconds: that an answer may take.
            most: texts that a request may hold; None for all at once.

        Raises:
            WrongAnswer: a text gets other labels than expected.
            Refused, Unreachable, ServerError: it gets none.
        """
        step = most or len(expected)
        for start in range(0, len(expected), step):
            part = expected[start : start + step]
            answers = self.labels([answer.text for answer in part], version, seconds)
            for answer, labels in zip(part, answers):
                answer.require(labels, self.address)

    def _infer(
        self,
        model: str,
        version: int | None,
        inputs: Sequence[Mapping[str, Any]],
        output: str,
        seconds: float,
    ) -> dict[str, Any]:
        """The outputs by name: the one that is named, or all."""
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
        body: dict[str, Any] = {"inputs": inputs}
        if secret := self.probe or probe_secret(self.key):
            body["parameters"] = {PROBE: secret}
        if output:
            body["outputs"] = [{"name": output}]
        answer = self._call("POST", path, body, seconds)
        return {output["name"]: output for output in answer["outputs"]}

    def _call(self, method: str, path: str, body: Any, seconds: float, long: bool = False) -> Any:
        connection = (
            UnixConnection(self.socket, seconds)
            if self.socket
            else http.client.HTTPConnection(self.address, timeout=seconds)
        )
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {HTTP_HEADER: self.key})
            if long:
                self._wait_while_alive(connection.sock, seconds)
            response = connection.getresponse()
            status, text = response.status, response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no Triton server answers at {self.address}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if status == http.client.BAD_GATEWAY:
            raise Unreachable(f"no Triton server answers behind {self.address}: {_reason(text)}")
        if status != http.client.OK:
            kind = Refused if status == http.client.SERVICE_UNAVAILABLE else ServerError
            raise kind(f"the server at {self.address} answers {status} to {path}: {_reason(text)}")
        try:
            return parse_json(text) if text else None
        except ValueError:
            raise ServerError(f"what answers at {self.address} is no Triton server: {text[:80]!r}") from None

    def _wait_while_alive(self, answer: Any, seconds: float) -> None:
        """Wait until an answer begins on a socket; raises OSError where the server falls silent."""
        deadline, faults = time.monotonic() + seconds, 0
        while not select.select([answer], [], [], LIVE_SECONDS)[0]:
            faults = 0 if self._is_live() else faults + 1
            if faults == LIVE_FAULTS or time.monotonic() > deadline:
                raise TimeoutError("it fell silent" if faults else "timed out")

    def _is_live(self) -> bool:
        try:
            self._call("GET", "/v2/health/live", None, LIVE_SECONDS)
        except ServerError:
            return False
        return True


def _tensor(name: str, data_type: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": data_type, "shape": shape, "data": data}


def _reason(text: str) -> str:
    try:
        return str(parse_json(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]
