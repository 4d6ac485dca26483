"""A wrong name or place is told before paddle is imported, which takes seconds, and half a minute when it is cold."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, PROJECT
from training.pruning.command_line import paddlenlp_arguments

PROGRAM = """
import importlib, json, sys, time

said = []
for module, *words in json.load(sys.stdin):
    started = time.process_time()
    try:
        importlib.import_module(module).main(words)
        said.append("nothing")
    except BaseException as error:
        seconds = time.process_time() - started
        said.append(f"{type(error).__name__}: {error}" if seconds < 2 else f"{error}, after {seconds:.1f} s")
    heavy = {"paddle", "paddlenlp", "paddleslim", "onnxruntime", "openvino"} & set(sys.modules)
    if heavy:
        sys.exit(f"{module} {' '.join(words)} imports {', '.join(heavy)}")
print(json.dumps(said))
"""
WHOLE = "--params_dir {checkpoint} --width_mult 1/2"
NO_FOLDER, NO_CHECKPOINT = "--dataset_dir nowhere is no folder", "there is no checkpoint at nowhere"
CASES = {
    "train: model": (
        "train",
        "--dataset_dir {data} --model_name ernie-3.0-medum-zh",
        "did you mean ernie-3.0-medium-zh?",
    ),
    "train: data": ("train", "--dataset_dir nowhere", NO_FOLDER),
    "train: file": ("train", "--dataset_dir {data} --dev_file no.txt", "cannot read {data}/no.txt: No such file"),
    "train: start": (
        "train",
        "--dataset_dir {data} --init_from_ckpt no/model_state.pdparams",
        "no/model_state.pdparams",
    ),
    "train: place": ("train", "--dataset_dir {data} --save_dir {data}", "give --save_dir a new or an empty folder"),
    "prune: data": ("prune", f"--dataset_dir nowhere {WHOLE}", NO_FOLDER),
    "prune: file": (
        "prune",
        "--dataset_dir {data} --train_file no.txt " + WHOLE,
        "cannot read",
    ),
    "prune: labels": (
        "prune",
        "--dataset_dir {other} " + WHOLE,
        "does not fit the model",
    ),
    "prune: checkpoint": ("prune", "--dataset_dir {data} --params_dir nowhere", NO_CHECKPOINT),
    "prune: option": (
        "prune",
        "--dataset_dir {data} --widht_mult 1/2",
        "did you mean --width_mult",
    ),
    "predict: data": ("predict", "--dataset_dir nowhere --params_path {checkpoint}", "cannot read nowhere/data.txt"),
    "predict: labels": ("predict", "--dataset_dir {other} --params_path {checkpoint}", "does not fit the model"),
    "predict: model": (
        "predict",
        "--dataset_dir {data} --params_path {checkpoint} --model_name ernie-3.0-nano-zh",
        "trained with",
    ),
    "predict: checkpoint": ("predict", "--dataset_dir {data} --params_path nowhere", NO_CHECKPOINT),
    "export: checkpoint": ("export_model", "--params_path nowhere", NO_CHECKPOINT),
    "export: place": ("export_model", "--params_path {checkpoint} --output_path {data}", "give --output_path a new"),
    "release: data": (
        "release",
        "--dataset_dir nowhere --params_path {checkpoint} --bundles {bundle}",
        "cannot read nowhere/dev.txt",
    ),
    "release: bundle": ("release", "--dataset_dir {data} --bundles nowhere", "there is no bundle at nowhere"),
    "release: checkpoint": ("release", "--dataset_dir {data} --params_path nowhere --bundles {bundle}", NO_CHECKPOINT),
    "evaluate: data": (
        "analysis.evaluate",
        "--dataset_dir nowhere --params_path {checkpoint}",
        "cannot read nowhere/label.txt",
    ),
    "evaluate: labels": (
        "analysis.evaluate",
        "--dataset_dir {other} --params_path {checkpoint}",
        "does not fit the model",
    ),
    "evaluate: checkpoint": ("analysis.evaluate", "--dataset_dir {data} --params_path nowhere", NO_CHECKPOINT),
    "sparse: data": (
        "analysis.sparse",
        "--dataset_dir nowhere --params_path {checkpoint}",
        "cannot read nowhere/label.txt",
    ),
    "sparse: checkpoint": ("analysis.sparse", "--dataset_dir {data} --params_path nowhere", NO_CHECKPOINT),
    "dirty: data": ("analysis.dirty", "--dataset_dir nowhere", "cannot read nowhere/label.txt"),
    "dirty: checkpoint": (
        "analysis.dirty",
        "--dataset_dir {data} --method representer --params_path nowhere",
        NO_CHECKPOINT,
    ),
    "aug: data": ("analysis.aug", "--train_path nowhere/train.txt", "cannot read nowhere/label.txt"),
    "aug: model": (
        "analysis.aug",
        "--train_path {data}/train.txt --aug_type mlm --mlm_path nowhere",
        "nowhere is no folder",
    ),
}


@pytest.fixture(scope="module")
def said(sample_dataset, checkpoint, bundle_path, tmp_path_factory) -> dict[str, tuple[str, str]]:
    """By case what is said, and what should be."""
    place = tmp_path_factory.mktemp("elsewhere")
    other = place / "other"
    other.mkdir()
    for name in ("train.txt", "dev.txt", "data.txt"):
        (other / name).write_text("a text\tz\n" if name != "data.txt" else "a text\n")
    (other / "label.txt").write_text("z\n")
    places = {"data": sample_dataset, "other": other, "checkpoint": checkpoint, "bundle": bundle_path}
    commands = [(f"training.{name}", *words.format(**places).split()) for name, words, _ in CASES.values()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(commands),
        env={**ENVIRONMENT, "PYTHONPATH": os.fspath(PROJECT)},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = [words.format(**places) for _, _, words in CASES.values()]
    return dict(zip(CASES, zip(json.loads(done.stdout.splitlines()[-1]), wanted)))


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_without_paddle(case, said):
    got, wanted = said[case]
    assert got.partition(":")[0].endswith("Error")
    assert wanted in got


def test_the_arguments_of_paddlenlp_are_those_of_its_source():
    from paddlenlp.trainer import CompressionArguments

    assert paddlenlp_arguments() == set(CompressionArguments.__dataclass_fields__)
