"""The options of the scripts that this project succeeds: their names and defaults are a promise.

They were documented twice; where the two differ, the later document (v2) counts. A test holds the tables against them.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest

from pipeline.errors import InputError
from tests.conftest import PROJECT
from training import export_model, predict, prune, train
from training.analysis import aug, dirty, evaluate, sparse

SEED = PROJECT.parent / "shared" / "seed"
VERSIONS = ("v1", "v2")

SCRIPTS = {
    "train.py": train,
    "predict.py": predict,
    "export_model.py": export_model,
    "evaluate.py": evaluate,
    "prune.py": prune,
}
ANALYSIS_SCRIPTS = {"sparse.py": sparse, "dirty.py": dirty, "aug.py": aug}
NEED_A_DATASET = ("train.py", "predict.py", "evaluate.py", "prune.py")

DOCUMENTED = {
    "train.py": {
        "device": "gpu",
        "dataset": "wos",
        "dataset_dir": None,
        "save_dir": "./checkpoint",
        "max_seq_length": 128,
        "model_name": "ernie-3.0-medium-zh",
        "batch_size": 32,
        "learning_rate": 3e-5,
        "epochs": 10,
        "early_stop": False,
        "early_stop_nums": 10,
        "logging_steps": 5,
        "weight_decay": 0.0,
        "warmup": False,
        "warmup_steps": 0,
        "init_from_ckpt": None,
        "seed": 3,
        "train_file": "train.txt",
        "dev_file": "dev.txt",
        "label_file": "label.txt",
    },
    "predict.py": {
        "device": "gpu",
        "dataset_dir": None,
        "params_path": "./checkpoint/",
        "max_seq_length": 128,
        "batch_size": 32,
        "model_name": "ernie-2.0-base-en",
        "data_file": "data.txt",
        "label_file": "label.txt",
    },
    "export_model.py": {
        "params_path": "./checkpoint/",
        "output_path": "./export",
        "num_classes": 141,
        "model_name": "ernie-2.0-base-en",
    },
    "prune.py": {
        "output_dir": None,
        "dataset": "wos",
        "max_seq_length": 128,
        "params_dir": "./checkpoint/",
        "model_name_or_path": "ernie-2.0-base-en",
        "device": None,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 32,
        "learning_rate": 3e-5,
        "num_train_epochs": 10,
        "logging_steps": 5,
        "save_steps": 100,
        "seed": 3,
        "dataset_dir": None,
        "width_mult": "2/3",
    },
}

COMPUTING = ("train.py", "predict.py", "prune.py", "evaluate.py", "sparse.py", "dirty.py", "aug.py")
DIFFERENT = {
    ("train.py", "dataset"): (None, "v2 asks for --dataset_dir instead; wos is fetched for those who name it"),
    ("train.py", "warmup"): (None, "off all the same; a recipe tells what was refused from what was not given"),
    **{(script, "model_name"): (None, "the checkpoint knows it") for script in ("predict.py", "export_model.py")},
    ("prune.py", "dataset"): (None, "v2 asks for --dataset_dir instead; wos is fetched for those who name it"),
    ("prune.py", "model_name_or_path"): (None, "the checkpoint knows its encoder"),
    ("prune.py", "output_dir"): ("./prune", "none is documented, and every documented command names this one"),
    **{(script, "logging_steps"): (None, "a line per epoch tells enough") for script in ("train.py", "prune.py")},
    **{(script, "max_seq_length"): (None, "the checkpoint knows it") for script in COMPUTING[1:6]},
    **{(script, "device"): ("auto", "a GPU is taken where paddle sees one") for script in COMPUTING},
    ("export_model.py", "num_classes"): (None, "the checkpoint knows its labels; 141 is the number of one dataset"),
}
"""Defaults that are not the documented ones, and why."""

ANALYSIS = {
    "sparse.py": {
        "device": "gpu",
        "dataset_dir": None,
        "aug_strategy": "substitute",
        "annotate": False,
        "params_path": "./checkpoint/",
        "max_seq_length": 128,
        "batch_size": 32,
        "seed": 3,
        "rationale_num": 3,
        "sparse_num": 100,
        "valid_num": 100,
        "valid_threshold": 0.7,
        "train_file": "train.txt",
        "dev_file": "dev.txt",
        "label_file": "label.txt",
        "unlabeled_file": "data.txt",
        "sparse_file": "sparse.txt",
        "valid_file": "valid.txt",
    },
    "dirty.py": {
        "device": "gpu",
        "dataset_dir": None,
        "params_path": "./checkpoint/",
        "max_seq_length": 128,
        "batch_size": 32,
        "seed": 3,
        "dirty_num": 100,
        "dirty_threshold": 0,
        "dirty_file": "train_dirty.txt",
        "rest_file": "train_dirty_rest.txt",
        "train_file": "train.txt",
        "label_file": "label.txt",
    },
    "aug.py": {"aug_strategy": "substitute", "aug_type": "synonym", "create_n": 2, "aug_percent": 0.1, "device": "gpu"},
}
"""What the optimisation guide documents, no part of the two documents."""
CHOICES = {
    "sparse.py": {"aug_strategy": ("duplicate", "substitute", "insert", "delete", "swap")},
    "aug.py": {
        "aug_strategy": ("mix", "substitute", "insert", "delete", "swap"),
        "aug_type": ("synonym", "homonym", "mlm"),
    },
}

ON_DATA = "--device {device} --dataset_dir data --params_path ./checkpoint --max_seq_length 128 --batch_size 32"
TRAINING = (
    "train.py --device {device} --dataset_dir data --save_dir ./checkpoint --max_seq_length 128 "
    "--model_name ernie-3.0-medium-zh --batch_size 32 --early_stop --learning_rate 3e-5 --epochs 100 "
    "--logging_steps 5 --train_file train.txt"
)
PRUNING = (
    "prune.py --device {device} --output_dir ./prune --per_device_train_batch_size 32 --per_device_eval_batch_size 32 "
    "--learning_rate 3e-5 --num_train_epochs 10 --logging_steps 5 --save_steps 50 --seed 3 --dataset_dir data "
    "--max_seq_length 128 --params_dir ./checkpoint --width_mult 2/3"
)
COMMANDS = {
    "train.py --early_stop",
    TRAINING.format(device="cpu"),
    TRAINING.format(device="gpu"),
    "evaluate.py --device gpu --dataset_dir ../data --params_path ../checkpoint --max_seq_length 128 "
    "--batch_size 32 --bad_case_path ./bad_case.txt",
    "predict.py --params_path ./checkpoints/model_state.pdparams",
    "predict.py " + ON_DATA.format(device="cpu"),
    "predict.py " + ON_DATA.format(device="gpu"),
    "export_model.py --params_path=./checkpoint/model_state.pdparams --output_path=./export",
    "export_model.py --params_path ./checkpoint/ --output_path ./export",
    "prune.py --output_dir ./prune --params_dir ./checkpoint/model_state.pdparams",
    PRUNING.format(device="cpu"),
    PRUNING.format(device="gpu"),
}
"""The documented command lines, from the script's name on."""


@pytest.mark.parametrize("script", DOCUMENTED)
def test_defaults_are_the_documented_ones(script):
    defaults = vars(SCRIPTS[script].parse_args(["--dataset_dir", "data"] if script in NEED_A_DATASET else []))
    defaults["dataset_dir"] = None  # it has none, see below
    defaults = {name: " ".join(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    expected = {name: DIFFERENT.get((script, name), (default,))[0] for name, default in DOCUMENTED[script].items()}
    for name, value in defaults.items():
        if isinstance(value, Path):
            expected[name] = Path(expected[name])
    assert {name: defaults.get(name, "no such option") for name in expected} == expected


@pytest.mark.parametrize("script", ANALYSIS)
def test_options_of_the_optimisation_guide(script):
    parse = ANALYSIS_SCRIPTS[script].parse_args
    required = [] if script == "aug.py" else ["--dataset_dir", "data"]
    defaults = vars(parse(required))
    expected = {**ANALYSIS[script], **({"dataset_dir": "data"} if required else {})}
    expected = {name: DIFFERENT.get((script, name), (default,))[0] for name, default in expected.items()}
    expected |= {
        name: Path(expected[name]) for name, value in defaults.items() if isinstance(value, Path) and name in expected
    }
    assert {name: defaults.get(name, "no such option") for name in expected} == expected
    for option, choices in CHOICES.get(script, {}).items():
        for choice in choices:
            assert vars(parse([*required, f"--{option}", choice]))[option] == choice


@pytest.mark.parametrize("script", NEED_A_DATASET)
def test_a_dataset_folder_is_required(script, capsys):
    with pytest.raises((SystemExit, InputError)) as caught:
        SCRIPTS[script].main([])
    assert "--dataset_dir" in f"{caught.value}{capsys.readouterr().err}"


@pytest.mark.parametrize("device", ["cpu", "gpu", "xpu", "npu"])
@pytest.mark.parametrize("script", NEED_A_DATASET)
def test_each_documented_device_can_be_asked_for(script, device):
    assert SCRIPTS[script].parse_args(["--dataset_dir", "data", "--device", device]).device == device


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_documented_command_lines_are_understood(command):
    script, *words = shlex.split(command.replace("=", " "))
    if script in NEED_A_DATASET and "--dataset_dir" not in words:  # v1 had a fixed dataset
        words += ["--dataset_dir", "data"]
    args = vars(SCRIPTS[script].parse_args(words))
    for option, word in zip(words, [*words[1:], "--"]):
        if option.startswith("--"):
            value = args[option[2:]]
            if isinstance(value, tuple):
                assert value == (word,)
            else:
                assert value is True if word.startswith("--") else type(value)(word) == value


def read_document(version):
    path = SEED / f"hierarchical_readme_{version}.zh.md"
    if not path.exists():
        pytest.skip(f"the documents of the options are not at hand ({path})")
    return path.read_text()


def test_the_tables_say_what_the_documents_say():
    found = {script: {} for script in DOCUMENTED}
    for version in VERSIONS:
        for script, name, default in documented_options(read_document(version)):
            if default is not None or name not in found[script]:
                found[script][name] = default
    assert found == DOCUMENTED


def test_the_command_lines_are_those_of_the_documents():
    assert {line for version in VERSIONS for line in documented_commands(read_document(version))} == COMMANDS


SECTIONS = {
    "模型微调": "train.py",
    "模型训练": "train.py",
    "模型预测": "predict.py",
    "模型静态图导出": "export_model.py",
    "静态图导出": "export_model.py",
    "模型裁剪": "prune.py",
}
LIST_BEGINS = "可支持配置的参数"


def documented_options(text):
    """Script, option and default (None where none is given) of each entry of a section's list of options."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        script = SECTIONS.get(section.partition("\n")[0].strip())
        for name, described in listed(section) if script else ():
            yield script, name, default_of(described)


def listed(section):
    """Name and description of each entry of a section's list."""
    return re.findall(r"^ *\* `(\w+)` *[:：](.*)", section.rpartition(LIST_BEGINS)[2], flags=re.MULTILINE)


def default_of(described):
    _, given, words = described.strip(" 。").rpartition("默认")
    if not given:
        return None
    folder = re.fullmatch("保存在当前目录(.*)文件夹下", words)
    if folder:
        return f"./{folder[1]}"
    value = re.sub("^[为是]|数据集$|wos数据集类别数", "", words).strip(" `")
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value


def documented_commands(text):
    """Command lines of the scripts in the document's shell blocks, without quotes, from the script's name on."""
    for block in re.findall(r"```shell\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            places = [place for place, word in enumerate(words) if word in SCRIPTS]
            if words[:1] == ["python"] and places:
                yield " ".join(words[places[0] :])
