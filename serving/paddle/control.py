"""Ask a running Paddle Serving service golden texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clients.http_client import HttpClient
from clients.paddle_client import Overloaded
from pipeline.served import ServedModel
from serving.golden import GOLDEN_SECONDS, Expected, Refused


@dataclass(frozen=True)
class ServiceControl:
    """One service.

    Attributes:
        address: `host:port` of its HTTP service.
        number: the version that it was started with, 0 where that is not known.
        started_here: whether it was started from here, on the folder that the command speaks of.
    """

    address: str
    number: int = 0
    started_here: bool = False

    def model(self, seconds: float = GOLDEN_SECONDS) -> ServedModel | None:
        """What it says of the model that it answers by; None where an earlier release published that."""
        with HttpClient(self.address, seconds, retries=0) as client:
            return client.answered()[self.address]

    def check(self, expected: Sequence[Expected], seconds: float = GOLDEN_SECONDS) -> None:
        """Ask golden texts.

        Raises:
            WrongAnswer: a text gets other labels than expected.
            Refused, ServerError: it gets none.
        """
        try:
            with HttpClient(self.address, seconds, retries=0) as client:
                answers = client.classify([answer.text for answer in expected])
        except Overloaded as error:
            raise Refused(str(error)) from None
        for answer, predictions in zip(expected, answers):
            answer.require([prediction.label for prediction in predictions], self.address)
