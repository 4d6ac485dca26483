"""One dataclass tells Python callers, the command line and the reference page the same."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.options import Options, create_parser, option, parse, rows
from pipeline.run_folder import RunFolderOptions

HUGE = "a number of 1,329 bits, which is too large"


@dataclass(frozen=True)
class Training(Options):
    """Train a model."""

    dataset_dir: Path = option(help="folder with train.txt")
    epochs: int = option(10, "passes over the rows", at_least=1)
    token_dropout: float = option(0.0, "share of hidden tokens", at_least=0, below=1)
    loss: str = option("bce", "what is minimised", choices=("bce", "zlpr"))
    early_stop: bool = option(False, "stop early")
    shuffle: bool = option(True, "shuffle the rows")
    at_least_one: bool | None = option(None, "answer every text")
    top_k: int | None = option(None, "labels at most", at_least=1)
    teachers: tuple[Path, ...] | None = option(None, "files to learn from")
    latency_at: int = option(32, "batch size that counts", choices=(1, 32))
    splits: tuple[float, ...] = option((0.8, 0.2), "shares of the files", above=0)
    url: tuple[str, ...] = option((), "servers", repeated=True)
    text: tuple[str, ...] = option((), "texts", positional=True)

    def check(self) -> None:
        if self.early_stop and self.epochs == 1:
            raise InputError("--early_stop needs more than one of --epochs")


def test_the_command_line_and_python_make_equal_options():
    typed = (
        "--dataset_dir data --epochs 3 --token_dropout .5 --loss zlpr --early_stop --shuffle false --top_k 2 "
        "--no-at_least_one --splits 1 .5 --latency_at 1 --url a --url b -"
    )
    parsed = parse(Training, typed.split())
    assert parsed == Training(
        dataset_dir=Path("data"),
        epochs=3,
        token_dropout=0.5,
        loss="zlpr",
        early_stop=True,
        shuffle=False,
        at_least_one=False,
        top_k=2,
        latency_at=1,
        splits=(1.0, 0.5),
        url=("a", "b"),
        text=("-",),
    )


def test_defaults_are_written_once():
    assert parse(Training, ["--dataset_dir", "data"]) == Training(dataset_dir="data")
    assert parse(Training, [], defaults={"dataset_dir": "data", "epochs": 2}).epochs == 2
    assert parse(Training, ["--epochs", "5"], defaults={"dataset_dir": "data", "epochs": 2}).epochs == 5


@pytest.mark.parametrize(
    ("name", "value", "words", "expected"),
    [
        ("epochs", 0, ["0"], "--epochs is 0; give a whole number, at least 1"),
        ("epochs", 1.5, ["1.5"], "--epochs is 1.5; give a whole number, at least 1"),
        ("epochs", "ten", ["ten"], "--epochs is 'ten'; give a whole number, at least 1"),
        ("token_dropout", 1, ["1"], "--token_dropout is 1.0; give a number, at least 0 and below 1"),
        ("token_dropout", float("nan"), ["nan"], "--token_dropout is nan; give a number, at least 0 and below 1"),
        ("loss", "zlrp", ["zlrp"], "--loss is 'zlrp'; give one of bce, zlpr; did you mean zlpr?"),
        ("shuffle", "no", ["no"], "--shuffle is 'no'; give true or false"),
        ("top_k", -1, ["-1"], "--top_k is -1; give a whole number, at least 1"),
        ("latency_at", 2, ["2"], "--latency_at is 2; give one of 1, 32"),
        ("splits", (0.8, 0), ["0.8", "0"], "--splits is 0.0; give a list, each a number, above 0"),
        ("teachers", [], [], "--teachers is empty; give a list, each a path"),
        ("splits", (), [], "--splits is empty; give a list, each a number, above 0"),
        ("dataset_dir", "", [""], "--dataset_dir is ''; give a path"),
        ("token_dropout", -1e-3, ["-1e-3"], "--token_dropout is -0.001; give a number, at least 0 and below 1"),
        ("token_dropout", float("-inf"), ["-inf"], "--token_dropout is -inf; give a number, at least 0 and below 1"),
        ("splits", (-1e-3, 1), ["-1e-3", "1"], "--splits is -0.001; give a list, each a number, above 0"),
        ("epochs", 10**400, ["1" + "0" * 400], f"--epochs is {HUGE}; give a whole number, at least 1"),
        ("epochs", 1 << 63, [str(1 << 63)], "--epochs is a number of 64 bits, which is too large; give a whole number"),
    ],
)
def test_both_ways_give_the_same_message(name, value, words, expected):
    given = {"dataset_dir": "data", name: value}
    with pytest.raises(InputError) as from_python:
        Training(**given)
    with pytest.raises(InputError) as from_shell:
        parse(Training, [*(["--dataset_dir", "data"] if name != "dataset_dir" else []), f"--{name}", *words])
    assert str(from_python.value) == str(from_shell.value)
    assert str(from_python.value).startswith(expected)


@pytest.mark.parametrize("value", [10**400, -(10**5000)], ids=["400", "5000"])
def test_numbers_that_nothing_can_hold_are_refused(value):
    for name in ("epochs", "token_dropout"):
        with pytest.raises(InputError, match=f"--{name} is a number of [0-9,]+ bits, which is too large; give a"):
            Training(dataset_dir="data", **{name: value})
    with pytest.raises(InputError, match="--epochs is inf"):
        parse(Training, ["--dataset_dir", "data", "--epochs", "1" + "0" * 5000])


def test_a_value_that_begins_with_a_dash_is_told_how_to_write():
    with pytest.raises(InputError, match="--dataset_dir: expected one argument; one that begins with - follows ="):
        parse(Training, ["--dataset_dir", "->"])


@pytest.mark.parametrize("value", [True, None, "3", [3], b"3"])
def test_python_values_of_another_type_are_refused(value):
    with pytest.raises(InputError, match="--epochs is .*; give a whole number"):
        Training(dataset_dir="data", epochs=value)


def test_what_is_required_and_what_contradicts_is_told():
    with pytest.raises(InputError, match="--dataset_dir is required: folder with train.txt"):
        Training()
    with pytest.raises(InputError, match="--early_stop needs more"):
        parse(Training, ["--dataset_dir", "data", "--early_stop", "--epochs", "1"])
    with pytest.raises(InputError, match="unrecognized arguments: --epoch; did you mean --epochs"):
        parse(Training, ["--dataset_dir", "data", "--epoch", "3"])


@pytest.mark.parametrize(
    ("word", "hint"),
    [("--text_column", "--help"), ("--run", "--help"), ("--timeout_second", "did you mean --timeout_seconds")],
)
def test_only_what_is_really_near_is_taken_for_a_slip(word, hint):
    @dataclass(frozen=True)
    class Near(Options):
        timeout_seconds: float = option(1.0, "time")
        runtime: str = option("auto", "library")

    with pytest.raises(InputError, match=f"unrecognized arguments: {word}.*; {hint}"):
        parse(Near, [word, "text"])


@dataclass(frozen=True)
class Benchmark(Training):
    """Measure a training."""

    what: str = option(help="what is measured", choices=("speed", "memory"), positional=True)
    rates: tuple[float, ...] = option((0.5, 1.0), "shares of the most", may_be_empty=True)


def test_an_argument_without_a_name_is_named_in_capitals():
    assert parse(Benchmark, ["speed", "--dataset_dir", "data"]).what == "speed"
    for message, words in (("WHAT is required", []), ("WHAT is 'spead'; .*did you mean speed", ["spead"])):
        with pytest.raises(InputError, match=message):
            parse(Benchmark, [*words, "--dataset_dir", "data"])


def test_a_list_may_be_empty_where_that_means_something():
    assert parse(Benchmark, ["speed", "--dataset_dir", "data", "--rates"]).rates == ()
    assert Benchmark(what="speed", dataset_dir="data", url=[], rates=[]).rates == ()


def test_own_options_stand_before_shared_ones():
    assert [row.name for row in rows(Benchmark)][:3] == ["WHAT", "--rates", "--dataset_dir"]


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Training(dataset_dir="data").epochs = 3


@dataclass(frozen=True)
class Placed(Training, RunFolderOptions):
    """Where it is written; and what not."""

    save_dir: Path = option("./checkpoint", "where the model is kept", in_run="checkpoint")
    report: Path | None = option(None, "page to write", in_run="report.html", bare="-")


def test_a_run_gives_places_to_what_is_not_given():
    data = {"dataset_dir": "data", "run": "orders"}
    assert Placed(**data).save_dir == Path("runs/orders/checkpoint")
    assert Placed(**data).report == Path("runs/orders/report.html")
    assert Placed(**data, save_dir="./checkpoint").save_dir == Path("checkpoint")
    assert Placed(dataset_dir="data").save_dir == Path("checkpoint")
    assert replace(Placed(**data), epochs=3).save_dir == Path("runs/orders/checkpoint")
    assert parse(Placed, ["--dataset_dir", "data", "--report", "--run", "x"]).report == Path("-")
    for name in ("", "..", "a/b", "a\nb"):
        with pytest.raises(InputError, match="give a name without a slash"):
            Placed(**{**data, "run": name})


def test_what_was_given_is_told_from_an_equal_default():
    names = ("epochs", "token_dropout", "early_stop")
    assert Training(dataset_dir="data").given(*names) == []
    assert replace(Training(dataset_dir="data"), loss="zlpr").given(*names) == []
    given = parse(Training, ["--dataset_dir", "data", "--epochs", "10", "--token_dropout", "0"])
    assert given.given(*names) == ["epochs", "token_dropout"]
    assert Training(dataset_dir="data", epochs=10, early_stop=True).given(*names) == ["epochs", "early_stop"]


def test_help_is_in_groups_and_names_the_command_as_it_is_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["training/train.py"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    text = create_parser(Placed).format_help()
    assert text.startswith("usage: python training/train.py [options] [TEXT ...]\n")
    titles = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Where it is written:", "Train a model:", "Which run it is about:", "Help:"]
    shown = " ".join(text.split())
    assert "passes over the rows (default: 10)" in shown and "share of hidden tokens (default: 0)" in shown
    assert "(default: ./checkpoint; with --run NAME: runs/NAME/checkpoint)" in shown


def test_help_and_reference_say_the_same():
    text = " ".join(create_parser(Training).format_help().split())
    for row in rows(Training):
        assert row.help in text
        assert row.name.strip("-").lower() in text
    assert {row.name: row.default for row in rows(Training)}["--splits"] == "0.8 0.2"
    assert {row.name: row.default for row in rows(Training)}["--dataset_dir"] == "required"


@given(st.text(max_size=8))
def test_any_word_is_read_or_refused_with_the_name_of_its_option(word):
    try:
        assert parse(Training, ["--dataset_dir=data", f"--epochs={word}"]).epochs >= 1
    except InputError as error:
        assert "--epochs is " in str(error)
