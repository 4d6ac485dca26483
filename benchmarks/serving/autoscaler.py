"""How many servers an autoscaler wants: the rule of serving/monitoring by the servers' metrics, KEDA's object by it.

What Prometheus and Kubernetes would compute, here without them: `rate` extrapolates as Prometheus 2 does
(promql/functions.go, extrapolatedRate), and bounds, tolerance, stabilisation and policies are those of the
HorizontalPodAutoscaler that KEDA makes (kubernetes, pkg/controller/podautoscaler). Times may all be shortened alike.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.tensors import ENSEMBLE

SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
MODEL_LABEL = re.compile(r'model="([^"]*)"')
SUCCESS, FAILURE = "nv_inference_request_success", "nv_inference_request_failure"
BATCHES, COMPUTING = "nv_inference_exec_count", "nv_inference_compute_infer_duration_us"
REFUSALS = ("text_classifier_surplus_requests_total", "text_classifier_late_requests_total")
COUNTED = (SUCCESS, FAILURE, BATCHES, COMPUTING, *REFUSALS)
MOST_REFUSED = 0.5
WINDOW_SECONDS, PERIOD_SECONDS = 60.0, 15.0
"""Of the rates in the rule; between two looks of the autoscaler, as between two of Prometheus."""
TOLERANCE = 0.1
"""Of Kubernetes: a load this close to the threshold changes nothing."""

Counts = Mapping[tuple[str, str], float]
"""Counters of a server by metric and model."""


def read_counts(page: str) -> Counts:
    """What the rule needs of a server's page of metrics."""
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for name, labels, value in SAMPLE.findall(page):
        if name in COUNTED:
            model = MODEL_LABEL.search(labels)
            found[name, model[1] if model else ""] += float(value)
    return found


def rate(samples: Sequence[tuple[float, float]], now: float, seconds: float) -> float | None:
    """Prometheus's `rate` of a counter over the last `seconds`, by two samples (moment, value) or more; else None."""
    inside = [(moment, value) for moment, value in samples if now - seconds <= moment <= now]
    if len(inside) < 2:
        return None
    (first, lowest), (last, _) = inside[0], inside[-1]
    values = [value for _, value in inside]
    increase = sum(after - before if after >= before else after for before, after in zip(values, values[1:]))
    sampled = last - first
    between = sampled / (len(inside) - 1)
    before, after = (gap if gap < 1.1 * between else between / 2 for gap in (first - now + seconds, now - last))
    if increase > 0:
        before = min(before, sampled * lowest / increase)
    return increase * (sampled + before + after) / sampled / seconds


class Load:
    """`job:text_classifier_load:share1m` of serving/monitoring/alerts.yml, from samples that are added.

    Args:
        seconds: over which the rates are, one minute in the rule.
    """

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._samples: defaultdict[str, defaultdict[tuple[str, str], deque[tuple[float, float]]]] = defaultdict(
            lambda: defaultdict(deque)
        )

    def add(self, server: str, moment: float, counts: Counts) -> None:
        """Add what a server's counters were at a moment."""
        for key, value in counts.items():
            samples = self._samples[server][key]
            samples.append((moment, value))
            while samples[0][0] < moment - 2 * self._seconds:
                samples.popleft()

    def share(self, now: float) -> float | None:
        """The load; None where there are too few samples to tell."""
        rates = {server: self._rates(server, now) for server in self._samples}

        def total(name: str, model: str | None = None) -> float:
            return sum(
                value
                for of in rates.values()
                for key, value in of.items()
                if key[0] == name and model in (None, key[1])
            )

        busy = [most for of in rates.values() if (most := _busiest(of)) is not None]
        if not busy:
            return None
        requests = total(SUCCESS, ENSEMBLE) + total(FAILURE, ENSEMBLE) / 2
        refused = sum(map(total, REFUSALS)) / requests if requests > 0 else 0.0
        return sum(busy) / len(busy) / (1 - min(refused, MOST_REFUSED))

    def _rates(self, server: str, now: float) -> dict[tuple[str, str], float]:
        found = {key: rate(samples, now, self._seconds) for key, samples in self._samples[server].items()}
        return {key: value for key, value in found.items() if value is not None}


def _busiest(rates: Counts) -> float | None:
    """Share of the time that the busiest step of a server computes."""
    shares = []
    for (name, model), answered in rates.items():
        if name == SUCCESS and model != ENSEMBLE:
            seconds = rates.get((COMPUTING, model), 0.0) / answered / 1e6 if answered > 0 else 0.0
            shares.append(rates.get((BATCHES, model), 0.0) * seconds)
    return max(shares, default=None)


@dataclass(frozen=True)
class Policy:
    """At most so many pods, or so many per cent of them, within so many seconds."""

    kind: str
    value: int
    seconds: float


@dataclass(frozen=True)
class Scaling:
    """What a ScaledObject says.

    Attributes:
        least, most: servers.
        threshold: of the load.
        up, down: policies of each direction.
        up_seconds, down_seconds: in which nothing else was wanted, until it is done.
    """

    least: int
    most: int
    threshold: float
    up: tuple[Policy, ...]
    down: tuple[Policy, ...]
    up_seconds: float
    down_seconds: float

    @classmethod
    def read(cls, path: Path) -> Scaling:
        """The one in a YAML file.

        Raises:
            InputError: the file cannot be read, or is no such object.
        """
        import yaml

        try:
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
            behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            up, down = behaviour["scaleUp"], behaviour["scaleDown"]
            return cls(
                least=spec["minReplicaCount"],
                most=spec["maxReplicaCount"],
                threshold=float(spec["triggers"][0]["metadata"]["threshold"]),
                up=_policies(up),
                down=_policies(down),
                up_seconds=up["stabilizationWindowSeconds"],
                down_seconds=down["stabilizationWindowSeconds"],
            )
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise InputError(f"{path} is no ScaledObject with a behaviour ({error!r})") from error

    def shortened(self, factor: float) -> Scaling:
        """With all its times multiplied by `factor`."""
        up, down = (
            tuple(replace(each, seconds=each.seconds * factor) for each in policies)
            for policies in (self.up, self.down)
        )
        up_seconds, down_seconds = self.up_seconds * factor, self.down_seconds * factor
        return replace(self, up=up, down=down, up_seconds=up_seconds, down_seconds=down_seconds)


def _policies(way: Mapping[str, Any]) -> tuple[Policy, ...]:
    return tuple(Policy(each["type"], each["value"], each["periodSeconds"]) for each in way["policies"])


class Autoscaler:
    """Says how many servers there should be.

    Args:
        scaling: how it decides.
    """

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._wanted: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def decide(self, now: float, load: float | None, current: int, ready: int) -> int:
        """How many servers there should be from `now` on.

        Args:
            load: as `Load.share` says; None changes nothing.
            current: servers that there are, those that leave not counted.
            ready: of them, those that take requests.
        """
        scaling = self._scaling
        if not self._wanted:
            self._wanted.append((now, current))
        ratio = 1.0 if load is None else load / scaling.threshold
        wanted = current if abs(1 - ratio) <= TOLERANCE else math.ceil(ratio * ready)
        wanted = min(max(wanted, scaling.least), scaling.most)
        lowest = min([wanted, *self._since(now - scaling.up_seconds, self._wanted)])
        highest = max([wanted, *self._since(now - scaling.down_seconds, self._wanted)])
        self._wanted.append((now, wanted))
        wanted = min(max(current, lowest), highest)
        if wanted > current:
            wanted = max(current, min(wanted, max(self._allowed(scaling.up, now, current, 1), default=wanted)))
        elif wanted < current:
            wanted = min(current, max(wanted, min(self._allowed(scaling.down, now, current, -1), default=wanted)))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    @staticmethod
    def _since(start: float, events: Iterable[tuple[float, int]]) -> list[int]:
        return [value for moment, value in events if moment > start]

    def _allowed(self, policies: Iterable[Policy], now: float, current: int, way: int) -> list[int]:
        """How far each policy lets the number of servers go up (1) or down (-1)."""
        rounded: Callable[[float], Any] = math.ceil if way > 0 else math.floor
        found = []
        for policy in policies:
            before = current - sum(self._since(now - policy.seconds, self._changes))
            share = 1 + way * policy.value / 100
            found.append(before + way * policy.value if policy.kind == "Pods" else rounded(before * share))
        return found
