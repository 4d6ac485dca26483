"""What a server tells on its metrics port, and what of it says whether it serves its callers well."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from http.client import HTTPConnection, HTTPException

from pipeline.errors import ServerError
from pipeline.tensors import ENSEMBLE

PATIENCE_SECONDS = 5.0
MOST_BYTES = 16 << 20
"""Of a page of metrics."""
_SAMPLE = re.compile(r"(\w+)\{([^}]*)\} ([0-9.eE+-]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def metrics_page(address: str) -> str:
    """The metrics of a Triton server, at host and port; raises ServerError where it does not tell them."""
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        page = answer.read(MOST_BYTES)
    except (OSError, HTTPException) as error:
        raise ServerError(f"{address} does not tell its metrics ({error}); name another address for them") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ServerError(f"{address} answers {answer.status}, and no metrics; name another address for them")
    return page.decode("utf-8", "replace")


@dataclass(frozen=True)
class Served:
    """How a server served its callers, counted since it started, or in between.

    Attributes:
        answered, failed: requests; those that were refused, for whatever reason, failed.
        surplus: of those that failed, the requests that were refused because too much was under way, or came too late.
        texts, empty: texts that were read, and those that got no label.
        seconds: that the answered requests took together.
    """

    answered: float = 0.0
    failed: float = 0.0
    surplus: float = 0.0
    texts: float = 0.0
    empty: float = 0.0
    seconds: float = 0.0

    @classmethod
    def read(cls, page: str, version: int) -> Served:
        """What a page of metrics tells of the callers of a version."""
        total: Counter[str] = Counter()
        for name, labels, value in _SAMPLE.findall(page):
            known = dict(_LABEL.findall(labels))
            # Triton counts by model, and the ensemble has one version; our steps count by the bundle's.
            if known.get("model") == ENSEMBLE or ("model" not in known and known.get("version") == str(version)):
                total[name] += float(value)  # type: ignore[assignment]
        return cls(
            answered=total["nv_inference_request_success"],
            failed=total["nv_inference_request_failure"] / 2,  # Triton 2.51 counts each twice
            surplus=total["text_classifier_surplus_requests_total"] + total["text_classifier_late_requests_total"],
            texts=total["text_classifier_texts_total"],
            empty=total["text_classifier_empty_predictions_total"],
            seconds=total["nv_inference_request_duration_us"] / 1e6,
        )

    def __add__(self, other: Served) -> Served:
        return Served(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: Served) -> Served:
        return Served(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    @property
    def requests(self) -> float:
        return self.answered + self.failed

    @property
    def milliseconds(self) -> float:
        """Of an answered request, on average."""
        return 1000 * self.seconds / max(1.0, self.answered)

    def __str__(self) -> str:
        return (
            f"{self.requests:.0f} requests, {self.failed:.0f} failed ({self.surplus:.0f} as surplus), "
            f"{self.empty:.0f} of {self.texts:.0f} texts without label, {self.milliseconds:.1f} ms a request"
        )
