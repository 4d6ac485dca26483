"""Markdown tables of the records in `benchmarks/results`, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from benchmarks.words import Say, english

Record = Mapping[str, Any]


def origin(record: Record, say: Say) -> str:
    """Which machine and commit a record is of, and how busy the machine was with other things."""
    about = record["environment"]
    return say("{}, {} cores, commit {}, load average before: {}").format(
        about["processor"], about["cores"], about["commit"], about["load average before"]
    )


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table without a line break at its end."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))


def serving(record: Record, say: Say = english) -> str:
    """Ours beside the baseline, with the spread of the ratios over the rounds."""
    rounds, summary = record["rounds"], record["summary"]
    heading = [say("one text per request"), say("this server"), say("baseline")]
    heading += [say("ratio"), say("lowest to highest")]
    lines = []
    for key, ratio, text in (
        ("throughput", "throughput_ratio", "texts per second, {} concurrent"),
        ("p50_ms", "p50_ratio", "median latency, ms, {} concurrent"),
    ):
        for concurrency in rounds[0]["ours"]:
            both = [_number(_median(found[name][concurrency][key] for found in rounds)) for name in ("ours", "origin")]
            lines.append(
                [say(text).format(concurrency), *both, *_with_spread(summary[f"{ratio}_c{concurrency}"], say, 2)]
            )
    most = max(rounds[0]["ours"], key=int)
    for key, text in (
        (f"share_of_in_process_c{most}", "share of what the predictor in process does"),
        (f"share_of_limit_c{most}", "share of what the matrix products permit"),
    ):
        if key in summary:
            words = say("{}, {} concurrent").format(say(text), most)
            lines.append([words, "", "", *_with_spread(summary[key], say, 2)])
    return markdown(heading, lines)


def served(records: Sequence[Record], say: Say) -> str:
    """Models that our server was measured with, on each kind of processor, one text per request."""
    heading = ["processor", "model", "texts per second, {} concurrent", "ratio to the baseline"]
    heading += ["of the limit, served", "of the limit, in process", "one text, ms", "more than in process, ms"]
    most = max(records[0]["rounds"][0]["ours"], key=int)
    lines = []
    for record in records:
        summary = record["summary"]
        model = record["model"].removesuffix(" with random weights")
        shares = [summary.get(key) for key in (f"share_of_limit_c{most}", "in_process_share_of_limit")]
        lines.append(
            [
                record["environment"]["processor"],
                model if record["width"] == "1" else say("{}, width {}").format(model, record["width"]),
                _number(_median(found["ours"][most]["throughput"] for found in record["rounds"])),
                f"{summary[f'throughput_ratio_c{most}']['median']:.2f}",
                *("" if share is None else f"{100 * share['median']:.0f} %" for share in shares),
                _number(_median(found["ours"]["1"]["p50_ms"] for found in record["rounds"])),
                _number(summary["p50_over_in_process_ms_c1"]["median"]),
            ]
        )
    return markdown([say(text).format(most) for text in heading], lines)


def limit(record: Record, say: Say = english) -> str:
    """Shares of the machine's matrix products."""
    lines = []
    for name, figure in record["share of limit"].items():
        precision = "float32" if name == "training" else name.split()[-1]
        text = say("training") if name == "training" else say("predictor, {}").format(name)
        speed = record["limit GFLOP/s"][precision]["median"]
        lines.append([text, f"{speed:.0f}", f"{100 * figure['median']:.0f} %", _range(figure, 2)])
    return markdown(["", say("limit, GFLOP/s"), say("of the limit"), say("lowest to highest")], lines)


def limit_and_operations(record: Record) -> str:
    """As `limit`, and where OpenVINO's time goes."""
    operations = [
        [precision, ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in shares.items() if share >= 0.005)]
        for precision, shares in record["share of openvino's time"].items()
    ]
    return f"{limit(record)}\n\n{markdown(['openvino', 'share of its time by operation'], operations)}"


def growth(record: Record, say: Say = english) -> str:
    """Exponents of time and memory."""
    heading = ["what grows", "from", "to", "time grows with its power", "memory grows with its power"]
    lines = []
    for name, axis in record["axes"].items():
        ends = [f"{point['n']:,}" for point in (axis["points"][0], axis["points"][-1])]
        powers = [
            f"{axis[f'{key}_exponent']} ({axis[f'{key}_exponent_of_the_last_two']})" for key in ("time", "memory")
        ]
        lines.append([say(name), *ends, *powers])
    return markdown([say(text) for text in heading], lines)


def load(record: Record) -> str:
    """Medians by setting, and latency by arrivals."""
    names = list(record["arrivals"])
    heading = ["closed loop", *(f"{name}, texts/s" for name in names), *(f"{name}, p50 ms" for name in names)]
    heading += [f"{name}, p99 ms" for name in names]
    ratios = record["summary"].get("ratios")
    if ratios:
        heading += ["throughput ratio", "lowest to highest"]
    lines = []
    for setting in record["summary"][names[0]]:
        cells = [
            _number(record["summary"][name][setting][key]["median"])
            for key in ("texts_per_second", "p50_ms", "p99_ms")
            for name in names
        ]
        spread = _with_spread(ratios[f"throughput_ratio {setting}"], english, 2) if ratios else []
        lines.append([setting, *cells, *spread])
    opened = [
        [
            name,
            *(_number(point[key]) for key in ("arrivals per second", "p50_ms", "p95_ms", "p99_ms")),
            str(point["refused"] + point["failed"]),
        ]
        for name, points in record["arrivals"].items()
        for point in points
    ]
    heading_opened = ["open loop", "arrivals per second", "p50 ms", "p95 ms", "p99 ms", "not answered"]
    return f"{markdown(heading, lines)}\n\n{markdown(heading_opened, opened)}"


def frontier(record: Record) -> str:
    """Shapes and widths, measured and published."""
    engines = engines_of(record)
    published = record["published"]
    columns = ["published micro F1", "published macro F1", "published ms (GPU)"]
    shapes = [
        [shape, _number(found["million parameters of matrices"])]
        + [_number(found["ms per text"][engine]) for engine in engines]
        + [str(value) for value in published["models"].get(shape, ("", "", ""))]
        for shape, found in record["shapes"].items()
    ]
    heading = ["shape, random weights", "million parameters", *(f"{engine}, ms per text" for engine in engines)]
    tables = [markdown([*heading, *columns], shapes)]
    for dataset, found in record["gate"].items():
        lines = [
            [one["width"], f"{one['runtime']} {one['precision']}"]
            + [f"{one[key]:.2f}" for key in ("micro_f1", "macro_f1", "ms per text")]
            for one in found
        ]
        tables.append(markdown([f"{dataset} (dev), width", "engine", "micro F1", "macro F1", "ms per text"], lines))
    lines = [
        [
            dataset,
            *(f"{found[rows][key]:.2f}" for rows in ("dev", "test") for key in ("micro_f1", "macro_f1")),
            f"{found['ms per text']:.2f}",
        ]
        for dataset, found in record["linear"].items()
    ]
    heading = ["TF-IDF + linear SVM", *(f"{rows} {key} F1" for rows in ("dev", "test") for key in ("micro", "macro"))]
    tables.append(markdown([*heading, "ms per text"], lines))
    lines = [[width, *(f"{value:.2f}" for value in values)] for width, values in published["widths"].items()]
    tables.append(markdown(["ernie-3.0-medium, width", *columns], lines))
    return "\n\n".join(tables)


def peers(record: Record) -> str:
    """Ours beside what PyPI has."""
    versions = ", ".join(f"{name} {version}" for name, version in record["environment"]["peers"].items())
    figures = [
        [name, *(_number(figure[key]) for key in ("median", "lowest", "highest"))]
        for name, figure in {**record["summary"], **record["ratios"]}.items()
    ]
    return markdown([versions, "median", "lowest", "highest"], figures)


def paddle_serving(record: Record) -> str:
    """Paddle Serving, ours beside the baseline's."""
    keys = ("texts_per_second", "p50_ms", "p99_ms")
    lines = [[name, *(_number(record[name][key]) for key in keys)] for name in ("ours", "origin")]
    lowest, highest = record["ratio_range"]
    lines.append(["throughput ratio", f"{record['ratio']:.2f} ({lowest:.2f} – {highest:.2f})", "", ""])
    return markdown([f"{record['clients']} clients, one text per request", "texts/s", "p50 ms", "p99 ms"], lines)


def scaling(record: Record) -> str:
    """What was found while servers were added and taken away."""
    return markdown(["", "found"], [[name, str(value)] for name, value in record["verdict"].items()])


def compared(records: Mapping[str, Record], say: Say = english) -> str:
    """Texts per second of ours and of what else people run, from the records that are there."""
    lines: list[tuple[str, float, float, Mapping[str, Any]]] = []
    if "serving" in records:
        rounds, summary = records["serving"]["rounds"], records["serving"]["summary"]
        for most in rounds[0]["ours"]:
            ours, other = (_median(found[name][most]["throughput"] for found in rounds) for name in ("ours", "origin"))
            words = say("baseline, {} concurrent").format(most)
            lines.append((words, ours, other, summary[f"throughput_ratio_c{most}"]))
    if "load" in records:
        load = records["load"]["summary"]
        for setting in (setting for setting in load["ours"] if " b" in setting):
            ours, other = (load[name][setting]["texts_per_second"]["median"] for name in ("ours", "origin"))
            words = say("baseline, {} concurrent with {} texts each").format(*setting[1:].split(" b"))
            lines.append((words, ours, other, load["ratios"][f"throughput_ratio {setting}"]))
    if "peers" in records:
        found, ratios = records["peers"]["summary"], records["peers"]["ratios"]
        most = max(int(name.split()[1][1:]) for name in found if name.startswith("litserve c"))
        ours, other = (found[f"{name} c{most} texts/s"]["median"] for name in ("ours", "litserve"))
        words = say("LitServe, {} concurrent").format(most)
        lines.append((words, ours, other, ratios[f"throughput_ratio_c{most} to litserve"]))
        for precision in ("float32", "bfloat16"):
            ours, other = (found[f"{name} texts/s"]["median"] for name in ("predictor", f"transformers {precision}"))
            words = say("transformers, {}, in process").format(precision)
            lines.append((words, ours, other, ratios[f"predictor to transformers {precision}"]))
    if "paddle_serving" in records:
        record = records["paddle_serving"]
        lowest, highest = record["ratio_range"]
        ratio = {"median": record["ratio"], "lowest": lowest, "highest": highest}
        ours, other = (record[name]["texts_per_second"] for name in ("ours", "origin"))
        lines.append((say("Paddle Serving's baseline, {} concurrent").format(record["clients"]), ours, other, ratio))
    heading = ["texts per second beside", "ours", "theirs", "ratio", "lowest to highest"]
    rows = [[words, _number(ours), _number(other), *_with_spread(ratio, say, 2)] for words, ours, other, ratio in lines]
    return markdown([say(text) for text in heading], rows)


TABLES: dict[str, Callable[[Record], str]] = {
    "serving": serving,
    "serving_narrow": serving,
    "serving_e5": serving,
    "load": load,
    "limit": limit_and_operations,
    "growth": growth,
    "frontier": frontier,
    "paddle_serving": paddle_serving,
    "peers": peers,
    "scaling": scaling,
}
"""By the part whose record they show."""
PAGE_TABLES: dict[str, Callable[[Record, Say], str]] = {"serving": serving, "limit": limit, "growth": growth}
SERVED = ("serving", "serving_narrow", "serving_e5")
"""The parts that `served` sums up."""
COMPARED = ("load", "peers", "paddle_serving")
"""The parts that `compared` sums up in one table; with `serving`, README's."""


def engines_of(record: Record) -> list[str]:
    """In which the frontier's shapes were measured."""
    return list(next(iter(record["shapes"].values()), {"ms per text": ()})["ms per text"])


def _median(values: Any) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _with_spread(figure: Mapping[str, Any], say: Say, digits: int) -> list[str]:
    note = f" ({say('too noisy to tell')})" if figure.get("noisy") else ""
    return [f"{figure['median']:.{digits}f}{note}", _range(figure, digits)]


def _range(figure: Mapping[str, Any], digits: int) -> str:
    return f"{figure['lowest']:.{digits}f} – {figure['highest']:.{digits}f}"
