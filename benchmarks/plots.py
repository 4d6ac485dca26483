"""Plots of the records in `benchmarks/results`, as matplotlib figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from benchmarks.tables import engines_of

Record = Mapping[str, Any]
COLOURS = {"ours": "#1f6fb4", "server": "#1f6fb4", "origin": "#c8692b"}
NAMES = {"ours": "this server", "origin": "baseline design", "server": "server"}
DECADE = 10
"""A growth's axis spans at least one, so that what hardly grows does not look steep."""
ACCENTS = ("#1f6fb4", "#c8692b", "#4d9a51", "#8a5ca8")


def load(record: Record) -> Figure:
    """Throughput by requests under way, with the spread of the rounds; latency by the rate of arrivals."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, arrivals in record["arrivals"].items():
        single = {
            int(setting[1:]): found["texts_per_second"]
            for setting, found in record["summary"][name].items()
            if " b" not in setting
        }
        medians = [found["median"] for found in single.values()]
        style: dict[str, Any] = {"color": COLOURS[name], "marker": "o", "label": NAMES[name]}
        left.plot(list(single), medians, **style)
        low, high = ([found[key] for found in single.values()] for key in ("lowest", "highest"))
        left.fill_between(list(single), low, high, color=COLOURS[name], alpha=0.15, linewidth=0)
        rates = [point["arrivals per second"] for point in arrivals]
        right.plot(rates, [point["p50_ms"] for point in arrivals], **style)
        style.update(linestyle="--", label=f"{NAMES[name]}, 99th percentile", marker="s", markersize=4)
        right.plot(rates, [point["p99_ms"] for point in arrivals], **style)
    left.set_xscale("log", base=2)
    left.set_xticks(list(single), list(map(str, single)))
    left.set(xlabel="requests under way, one text each", ylabel="texts per second", title="Closed loop")
    right.set_yscale("log")
    right.set(xlabel="arrivals per second (Poisson)", ylabel="ms from the intended start", title="Open loop")
    left.set_ylim(bottom=0)
    right.set_xlim(left=0)
    _finish(left, right)
    return figure


def serving(record: Record) -> Figure:
    """Each round's ratios, so that their spread is seen."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    shown = [name for name in record["summary"] if "ratio_c" in name]
    for place, name in enumerate(shown[::-1]):
        found = record["summary"][name]
        axes.plot([found["lowest"], found["highest"]], [place, place], color=ACCENTS[0], alpha=0.3, linewidth=6)
        axes.plot(found["median"], place, color=ACCENTS[0], marker="o")
        _label(axes, f"{found['median']:.2f}", (found["median"], place), (-8, 7))
    axes.set_yticks(range(len(shown)), [_ratio_name(name) for name in shown[::-1]])
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(0.08, 12.5)
    axes.set(title=f"This server over the baseline design: median and range of {len(record['rounds'])} rounds")
    axes.margins(y=0.15)
    _finish(axes, legend=False)
    return figure


def limit(record: Record) -> Figure:
    """Shares of the limit as bars."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    shares = record["share of limit"]
    for place, found in enumerate(reversed(shares.values())):
        axes.barh(place, 100 * found["median"], color=ACCENTS[0], height=0.6)
        spread = [[100 * (found["median"] - found["lowest"])], [100 * (found["highest"] - found["median"])]]
        axes.errorbar(100 * found["median"], place, xerr=spread, color="#444444", capsize=3)
    axes.set_yticks(range(len(shares)), list(shares)[::-1])
    axes.set(xlabel="% of the measured speed of matrix products in that precision", title="Tokens that are no padding")
    axes.set_xlim(0, 100)
    _finish(axes, legend=False)
    return figure


def growth(record: Record) -> Figure:
    """Time and memory against each axis, both logarithmic, with the fits."""
    axes = record["axes"]
    figure = Figure(figsize=(3.4 * len(axes), 5), layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False)
    for column, (name, found) in enumerate(axes.items()):
        n = [point["n"] for point in found["points"]]
        for row, (key, unit) in enumerate((("seconds", "time"), ("megabytes", "memory"))):
            panel, values = panels[row][column], [point[key] for point in found["points"]]
            panel.plot(n, values, "o-", color=ACCENTS[row])
            panel.plot(n, _fitted(n, values, found[f"{unit}_exponent"]), "--", color="#888888", linewidth=1)
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_xticks(n, [f"{each:,}" for each in n], fontsize=7)
            panel.set_xticks([], minor=True)
            beyond = max(1.2, (DECADE * min(values) / max(values)) ** 0.5)
            panel.set_ylim(min(values) / beyond, max(values) * beyond)
            power = f"{unit} ~ n^{found[f'{unit}_exponent']}, at the end n^{found[f'{unit}_exponent_of_the_last_two']}"
            panel.set_title(power, fontsize=9)
            panel.set(xlabel=name if row else "", ylabel=("seconds" if row == 0 else "MB") if column == 0 else "")
            _finish(panel, legend=False)
    return figure


def frontier(record: Record) -> Figure:
    """Micro F1 against latency of what the gate measured; latency against size of the published shapes."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    kinds: dict[str, list[tuple[float, float, str]]] = {}
    for dataset, candidates in record["gate"].items():
        for one in candidates:
            point = (one["ms per text"], one["micro_f1"], one["width"])
            kinds.setdefault(f"{dataset}, {one['precision']}", []).append(point)
    for colour, (name, points) in zip(ACCENTS, kinds.items()):
        left.plot([point[0] for point in points], [point[1] for point in points], "o-", color=colour, label=name)
        for milliseconds, f1, width in points:
            _label(left, width, (milliseconds, f1), (4, 4))
    left.set_xscale("log")
    left.set(xlabel="ms per text in batches of 32", ylabel="micro F1 on dev, %", title="Trained models by width")
    for colour, engine in zip(ACCENTS, engines_of(record)):
        sizes = [found["million parameters of matrices"] for found in record["shapes"].values()]
        times = [found["ms per text"][engine] for found in record["shapes"].values()]
        right.plot(sizes, times, "o-", color=colour, label=engine)
    for shape, found in record["shapes"].items():
        place = (found["million parameters of matrices"], min(found["ms per text"].values()))
        _label(right, shape.rpartition("-")[2], place, (2, -12))
    right.set_xscale("log")
    right.set_yscale("log")
    right.set(xlabel="million parameters of the matrices", ylabel="ms per text in batches of 32")
    right.set_title("ERNIE 3.0 shapes, random weights")
    _finish(left, right)
    return figure


def peers(record: Record) -> Figure:
    """Texts per second of servers and of engines in process."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    unit = " texts/s"
    shown = {name[: -len(unit)]: found for name, found in record["summary"].items() if name.endswith(unit)}
    for place, (name, found) in enumerate(reversed(list(shown.items()))):
        ours = name.startswith(("ours", "predictor"))
        axes.barh(place, found["median"], color=COLOURS["ours" if ours else "origin"], height=0.6)
        _label(axes, f"{found['median']:.0f}", (found["median"], place), (4, -3))
    axes.set_yticks(range(len(shown)), list(shown)[::-1])
    axes.set(xlabel="texts per second", title="One encoder, random weights; c32: 32 requests under way")
    axes.margins(x=0.1)
    _finish(axes, legend=False)
    return figure


def scaling(record: Record) -> Figure:
    """Over time: requests and servers; latencies."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    periods, length = record["periods"], record["period seconds"]
    moments = [number * length for number in range(len(periods))]

    def steps(axes: Axes, key: str, colour: str, label: str, **style: Any) -> None:
        axes.step(moments, [row[key] for row in periods], where="post", color=colour, label=label, **style)

    steps(upper, "offered per second", "#888888", "requests sent, per second")
    steps(upper, "answered per second", ACCENTS[0], "answered, per second")
    servers = upper.twinx()
    steps(servers, "ready", ACCENTS[1], "servers that take requests", linestyle="--")
    servers.set(ylim=(0, 2 * max(row["ready"] for row in periods)), ylabel="servers")
    servers.legend(fontsize=8, frameon=False, loc="upper center")
    upper.set(ylim=(0, 1.4 * max(row["offered per second"] for row in periods)), ylabel="requests per second")
    for key, colour in (("p50_ms", ACCENTS[0]), ("p99_ms", ACCENTS[1])):
        steps(lower, key, colour, f"{key[1:3]} of 100 answered requests within")
    lower.axhline(record["bound ms"], color="#888888", linewidth=1, label="bound")
    lower.set(ylim=(0, 2 * record["bound ms"]), ylabel="ms", xlabel="seconds")
    _finish(upper, lower)
    servers.spines[["top"]].set_visible(False)
    return figure


def soak(record: Record) -> Figure:
    """What the processes of each server held over time, what was done to them, and what failed."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    samples: Mapping[str, Any] = record["samples"]
    for panel, server in zip(panels, record["totals"]):
        for name, found in samples.items():
            if name.startswith(f"{server} "):
                panel.plot(found["seconds"], found["resident MB"], label=name.removeprefix(f"{server} "), linewidth=1.2)
        panel.plot(samples[server]["seconds"], samples[server]["shared MB"], "k:", label="/dev/shm", linewidth=1)
        panel.set_yscale("log")
        panel.set(ylabel="MB", title=f"{server}: resident memory by kind of process")
    counts = panels[-1]
    for colour, server in zip(ACCENTS, record["totals"]):
        for quantity, style in (("threads", "-"), ("open files", "--")):
            total: dict[float, float] = {}
            for name, found in samples.items():
                if name.startswith(f"{server} "):
                    for second, value in zip(found["seconds"], found[quantity]):
                        total[second] = total.get(second, 0) + value
            seconds = sorted(total)
            label = f"{server}, {quantity}"
            counts.plot(seconds, [total[second] for second in seconds], style, color=colour, label=label, linewidth=1)
        failed = record["failures at"][server]
        counts.plot(failed, [5.0] * len(failed), "x", color=colour, label=f"{server}, a failed request", markersize=4)
    counts.set(xlabel="seconds; grey: what was done to the servers", title="Threads, open files, failures")
    for panel in panels:
        for event in record["events"]:
            panel.axvspan(event["second"], event["second"] + max(0.5, event["lasted"]), color="#888888", alpha=0.25)
    _finish(*panels)
    return figure


PLOTS: dict[str, Callable[[Record], Figure]] = {
    "serving": serving,
    "load": load,
    "limit": limit,
    "growth": growth,
    "frontier": frontier,
    "peers": peers,
    "scaling": scaling,
}
"""By the part whose record they show."""


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    FigureCanvasAgg(figure).print_png(str(path))


def _fitted(n: Sequence[int], values: Sequence[float], power: float | None) -> list[float]:
    """a * n^power at each n; a least-squares line goes through the mean of the logarithms."""
    middle, height = (math.exp(sum(map(math.log, each)) / len(each)) for each in (n, values))
    return [height * (each / middle) ** (power or 0) for each in n]


def _ratio_name(name: str) -> str:
    what, _, concurrency = name.partition("_ratio_c")
    better = "higher" if what == "throughput" else "lower"
    return f"{what.replace('p50', 'median latency')}, {concurrency} under way\n({better} is better)"


def _label(axes: Axes, text: str, place: tuple[float, float], offset: tuple[int, int]) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", fontsize=8)


def _finish(*panels: Axes, legend: bool = True) -> None:
    for panel in panels:
        panel.grid(alpha=0.25)
        for axis, scale in ((panel.xaxis, panel.get_xscale()), (panel.yaxis, panel.get_yscale())):
            if scale == "log" and not isinstance(axis.get_major_locator(), FixedLocator):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        panel.spines[["top", "right"]].set_visible(False)
        if legend and panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8, frameon=False)
