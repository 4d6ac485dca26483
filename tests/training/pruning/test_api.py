"""The prune API by its documented names, as the original application's documents call it."""

import os
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddlenlp.data import DataCollatorWithPadding
from paddlenlp.datasets import MapDataset
from paddlenlp.trainer import TrainingArguments
from paddlenlp.transformers import AutoModelForSequenceClassification, AutoTokenizer, ErnieTokenizer

from pipeline.compute.batching import pad
from pipeline.errors import InputError
from tests.training.pruning.conftest import LABELS, create_model
from training.model.narrowing import encoder_layers
from training.pruning.api import DynabertConfig, Trainer

TEXTS = ["公司裁员", "地震", "裁员一千人", "公司地震了"] * 4
GRAPH = [".pdiparams", ".pdiparams.info", ".pdmodel"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small model of six heads with its tokenizer, as paddlenlp keeps it."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"公司裁员地震一千人了"]) + "\n"
    )
    ErnieTokenizer(str(folder / "vocab.txt")).save_pretrained(str(folder))
    create_model("Ernie").save_pretrained(str(folder))
    return str(folder)


@pytest.fixture
def documented(checkpoint, tmp_path):
    """The arguments that the documents tell to make."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    labels = (np.random.default_rng(3).random((len(TEXTS), LABELS)) < 0.4).astype("float32").tolist()
    rows = MapDataset([{**tokenizer(text), "labels": row} for text, row in zip(TEXTS, labels)])
    return {
        "model": AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=LABELS),
        "args": TrainingArguments(str(tmp_path / "out"), device="cpu", num_train_epochs=2, learning_rate=1e-3),
        "data_collator": DataCollatorWithPadding(tokenizer),
        "train_dataset": rows,
        "eval_dataset": rows,
        "tokenizer": tokenizer,
        "criterion": paddle.nn.BCEWithLogitsLoss(),
    }


def answers(graph, texts, tokenizer):
    input_ids = paddle.to_tensor(pad([np.array(tokenizer(text)["input_ids"]) for text in texts]))
    return paddle.jit.load(str(graph))(input_ids, paddle.zeros_like(input_ids)).numpy()


def test_the_documented_snippet_runs(documented):
    """v1: `trainer.prune(output_dir, prune_config=DynabertConfig(width_mult=2/3))`."""
    model, training_args, tokenizer = (documented[name] for name in ("model", "args", "tokenizer"))
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    trainer = Trainer(**documented)

    output_dir = os.path.join(training_args.output_dir, "wos")
    (folder,) = trainer.prune(output_dir, prune_config=DynabertConfig(width_mult=2 / 3))

    assert str(folder) == os.path.join(output_dir, "0.6666666666666666")
    names = {path.name for path in folder.iterdir()}
    assert names >= {*(f"float32{ending}" for ending in GRAPH), "model_state.pdparams", "model_config.json"}
    weight = paddle.load(str(folder / "model_state.pdparams"))["ernie.encoder.layers.0.self_attn.q_proj.weight"]
    assert weight.shape == [24, 16]  # four of six heads
    whole = answers_of(model, TEXTS, tokenizer)
    assert np.abs(answers(folder / "float32", TEXTS, tokenizer) - whole).max() < np.abs(whole).max()
    assert all((tensor.numpy() == before[name]).all() for name, tensor in model.state_dict().items())


def answers_of(model, texts, tokenizer):
    model.eval()
    input_ids = paddle.to_tensor(pad([np.array(tokenizer(text)["input_ids"]) for text in texts]))
    with paddle.no_grad():
        return model(input_ids).numpy()


def test_several_widths_and_a_prefix(documented, tmp_path):
    """The list of widths and the prefix that the documents name; each width is cut from the whole model."""
    trainer = Trainer(**{**documented, "args": SimpleNamespace(num_train_epochs=1, per_device_train_batch_size=8)})
    config = DynabertConfig(width_mult_list=[5 / 6, 2 / 3], output_filename_prefix="int8")
    folders = trainer.prune(tmp_path / "prune", config)
    assert [folder.name for folder in folders] == ["0.8333333333333334", "0.6666666666666666"]
    for folder, heads in zip(folders, (5, 4)):
        assert {path.name for path in folder.glob("int8*")} == {f"int8{ending}" for ending in GRAPH}
        state = paddle.load(str(folder / "model_state.pdparams"))
        assert state["ernie.encoder.layers.1.self_attn.q_proj.weight"].shape == [24, 4 * heads]
    assert encoder_layers(documented["model"])[0].self_attn.num_heads == 6
    trainer.prune(tmp_path / "prune", DynabertConfig("2/3"))  # replaces what is there
    assert {path.name for path in folders[1].glob("*.pdmodel")} == {"float32.pdmodel"}


def test_the_default_is_two_thirds_without_a_rounding_error():
    assert DynabertConfig().widths == DynabertConfig(2 / 3).widths == DynabertConfig("2/3").widths
    assert [str(width) for width in DynabertConfig(width_mult_list=[3 / 4, 2 / 3, 0.25]).widths] == [
        "3/4",
        "2/3",
        "1/4",
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"width_mult": 1.5}, "is 1.5; it must be above 0 and at most 1"),
        ({"width_mult": 0.5, "width_mult_list": [0.5]}, "give one of them"),
        ({"width_mult_list": []}, "names no width"),
        ({"output_filename_prefix": "../float32"}, "give the beginning of a file's name"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(values, reason):
    with pytest.raises(InputError, match=reason):
        DynabertConfig(**values)


def rows(**values):
    return [{"input_ids": [1, 4, 2], "labels": [0, 1, 0, 0, 1], **values}]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"args": SimpleNamespace(fp16=True)}, "args.fp16 is True, which pruning here does not do; leave it at False"),
        ({"args": {"num_train_epochs": 3}}, "args is {'num_train_epochs': 3}, which has no attribute such as"),
        ({"args": None}, "args is None, which has no attribute"),
        ({"args": "x"}, "args is 'x', which has no attribute"),
        ({"args": TrainingArguments}, "args is <class .*give paddlenlp's TrainingArguments"),
        *[
            ({"args": SimpleNamespace(warmup_ratio=ratio)}, f"args.warmup_ratio is {ratio!r}; give a share")
            for ratio in (5, -0.1, float("nan"), "0.1", True)
        ],
        ({"args": SimpleNamespace(max_steps=10)}, "args.max_steps is 10"),
        ({"args": SimpleNamespace(num_train_epochs=1.5)}, "--num_train_epochs is 1.5; give a whole number"),
        ({"args": SimpleNamespace(learning_rate=0)}, "--learning_rate is 0"),
        ({"criterion": "bce"}, "criterion is 'bce'; give a loss"),
        ({"train_dataset": iter(())}, "train_dataset is .*; give a map-style dataset"),
        ({"train_dataset": []}, "train_dataset is empty"),
        ({"train_dataset": [[1, 2]]}, r"train_dataset\[0\] is no dict with input_ids and labels"),
        ({"eval_dataset": rows(labels=3)}, r"the labels of eval_dataset\[0\] are not 5 numbers that are 0 or 1"),
        (
            {"eval_dataset": rows(input_ids=[1] * 17)},
            r"input_ids of eval_dataset\[0\] are not 1 to 16 whole numbers",
        ),
        ({"eval_dataset": rows(token_type_ids=[0, 1, 1])}, r"token_type_ids of eval_dataset\[0\] is not 0 for each"),
        ({"eval_dataset": rows(position_ids=[0, 1, 2])}, "holds 'position_ids', which pruning would not use"),
        ({"data_collator": lambda rows: {"input_ids": [[7]], "labels": [[0]]}}, "data_collator does not pad with 0"),
    ],
)
def test_what_cannot_be_honoured_is_refused(documented, changed, reason):
    with pytest.raises(InputError, match=reason):
        Trainer(**{**documented, **changed})


@pytest.mark.parametrize("prefix", ["a\0", "a\nb", "\ud800", "字" * 100, "a/b", ".a", "", 3], ids=ascii)
def test_a_prefix_that_begins_no_file_name_is_refused_at_once(prefix):
    with pytest.raises(InputError, match="output_filename_prefix is .*give the beginning of a file's name"):
        DynabertConfig(output_filename_prefix=prefix)


def test_a_folder_of_other_files_and_a_broken_head_are_refused(documented, tmp_path):
    trainer = Trainer(**documented)
    with pytest.raises(InputError, match="leaves 1.50 of 6 attention heads"):
        trainer.prune(tmp_path, DynabertConfig(width_mult=1 / 4))
    (tmp_path / "0.5").mkdir()
    (tmp_path / "0.5" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds 'thesis.txt'"):
        trainer.prune(tmp_path, DynabertConfig(width_mult=1 / 2))
    with pytest.raises(InputError, match="give a DynabertConfig"):
        trainer.prune(tmp_path, 1 / 2)


def test_warmup_may_be_given_as_a_share_of_the_steps(documented):
    trainer = Trainer(**{**documented, "args": SimpleNamespace(num_train_epochs=5.0, warmup_ratio=0.25)})
    assert trainer.options.warmup_steps == 2  # of five
