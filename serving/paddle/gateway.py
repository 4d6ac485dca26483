"""HTTP for the service, in place of upstream's gateway.

That one, a compiled library, listens on all interfaces and cannot be told otherwise, and has no limits. This one takes
and gives the same JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from pipeline.errors import InputError
from pipeline.records import parse_json
from pipeline.service_messages import (
    HTTP_PATH,
    INPUT_ERROR,
    MODEL_ERROR,
    NO_SERVICE,
    OK,
    OVERLOADED,
    PARSING,
    TIMED_OUT,
    is_utf8,
)
from serving.process.http_door import HttpDoor
from serving.process.http_handler import Answer, DoorHandler, Refusal, as_json

STATUS = {OK: 200, INPUT_ERROR: 400, NO_SERVICE: 404, OVERLOADED: 503, TIMED_OUT: 504}
ERR_NO = {404: NO_SERVICE, 503: OVERLOADED}
"""Of what is refused before it is read; all else is the caller's."""


class HttpGateway(HttpDoor):
    """Answers HTTP requests by a function.

    Args:
        address: host and port to listen on.
        answer: takes the fields of a request, and gives those of its answer, `err_no` among them.
        limits: as `HttpDoor` takes them.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[dict[str, Any]], Mapping[str, Any]],
        *limits: Any,
        **more_limits: Any,
    ) -> None:
        self.answer = answer
        super().__init__(address, _Handler, *limits, **more_limits)


class _Handler(DoorHandler):
    server_version = "seq_cls"
    server: HttpGateway
    hint = f"; POST to {HTTP_PATH}"

    @staticmethod
    def error(status: int, message: str) -> Mapping[str, Any]:
        return _complete({"err_no": ERR_NO.get(status, INPUT_ERROR), "err_msg": message})

    def do_POST(self) -> None:
        if self.path.partition("?")[0] != HTTP_PATH:
            raise Refusal(404, f"there is no {self.path!r:.100}; POST to {HTTP_PATH}")
        body = self.read_body()
        self.answer_in_turn(lambda: self._answer(body))

    def _answer(self, body: bytes) -> Answer:
        fields = self._fields_of_answer(body)
        return as_json(STATUS.get(fields["err_no"], 500), _complete(fields))

    def _fields_of_answer(self, body: bytes) -> Mapping[str, Any]:
        try:
            with PARSING:
                fields = _fields(body)
            return self.server.answer(fields)
        except InputError as error:
            return {"err_no": INPUT_ERROR, "err_msg": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is to get an answer
            return {"err_no": MODEL_ERROR, "err_msg": f"the service failed: {error!r}"}


def _complete(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"err_no": OK, "err_msg": "", "key": [], "value": [], **answer}


def _fields(body: bytes) -> dict[str, Any]:
    """The fields of a request in JSON: `key` and `value`, lists of text; raises InputError."""
    try:
        fields = parse_json(body)
    except ValueError as error:
        raise InputError(f"the request is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InputError('the request is no JSON object; send {"key": ["sentence"], "value": ["..."]}')
    if fields.get("tensors"):
        raise InputError("tensors are not taken; send texts as the value of the key sentence")
    for name in ("key", "value"):
        values = fields.setdefault(name, [])
        if not isinstance(values, list) or not all(map(is_utf8, values)):
            raise InputError(f"{name!r} is no list of strings in UTF-8")
    return {name: fields[name] for name in ("key", "value")}
