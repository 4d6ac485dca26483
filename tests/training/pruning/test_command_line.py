"""prune.py's words: its configuration file, and the options of the original."""

import json

import pytest

from pipeline.errors import InputError
from training.prune import PruningRun, parse_args


def test_a_configuration_file_gives_defaults_that_the_command_line_overrides(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = {
        "dataset_dir": "data",
        "learning_rate": 1e-4,
        "num_train_epochs": 3,
        "width_mult": ["3/4", 0.5],
        "resume": True,
        "fp16": True,
        "seed": None,
    }
    (tmp_path / "prune_config.json").write_text(json.dumps(values))
    args = parse_args(["--num_train_epochs", "5"])
    assert isinstance(args, PruningRun)
    assert (args.learning_rate, args.num_train_epochs, args.width_mult, args.resume) == (1e-4, 5, ("3/4", "0.5"), True)
    assert args.seed == 3
    errors = capsys.readouterr().err
    assert "note: --fp16 has no effect on pruning here" in errors
    assert "note: options that the command line leaves out are taken from prune_config.json" in errors
    (tmp_path / "other.json").write_text('{"seed": 7, "width_mult_list": 0.5}')
    for words in (["--prune_config", "other.json"], ["--prune_config=other.json"]):
        other = parse_args([*words, "--dataset_dir", "data"])
        assert (other.seed, other.width_mult) == (7, ("0.5",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "cannot read --prune_config"),
        ("[1]", "holds no JSON object"),
        ("[" * 100_000, "cannot read --prune_config"),
        ('{"learning_rate": "fast"}', "config.json: --learning_rate is 'fast'; give a number, above 0"),
        ('{"device": "abacus"}', "config.json: --device is 'abacus'; give one of auto, cpu, gpu, xpu"),
        ('{"resume": 1}', "config.json: --resume is 1; give true or false"),
        ('{"width_mult": [2]}', "config.json: --width_mult is 2; it must be above 0 and at most 1"),
        ('{"widht_mult": 0.5}', "config.json: prune.py has no option widht_mult"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, content, reason):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=reason):
        parse_args(["--dataset_dir", "data", "--prune_config", str(tmp_path / "config.json")])


def test_options_of_the_original_trainer_are_accepted_with_a_note_and_unknown_ones_are_not(capsys):
    data = ["--dataset_dir", "data"]
    assert parse_args([*data, "--lr_scheduler_type", "cosine", "--fp16", "--weight_decay", "0.1"]).weight_decay == 0.1
    errors = capsys.readouterr().err
    assert errors.count("has no effect on pruning here") == 2
    for words, reason in (
        (["--widht_mult", "1/2"], "unrecognized arguments.*did you mean --width_mult"),
        (["1/2"], "unrecognized arguments: 1/2"),
    ):
        with pytest.raises(InputError, match=reason):
            parse_args([*words, *data])
