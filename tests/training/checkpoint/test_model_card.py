"""README.md of a bundle: true, complete, and harmless whatever the labels are called."""

import json
import shutil
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import ReadReport, read_examples
from pipeline.files.manifest import Manifest
from pipeline.labels.decoding import POLICIES, DecodingPolicy
from pipeline.metrics.sets import COUNTED, known_counts
from pipeline.text.normalisation import NORMALISATIONS
from pipeline.text.words import TokeniserSettings
from training import export_model
from training.checkpoint.card_text import escape
from training.checkpoint.files import read_checkpoint
from training.checkpoint.model_card import NORMALISATION_PHRASES, POLICY_SENTENCES, model_card
from training.data.encoded import EncodedDataset, describe

HOSTILE = (
    *("a|b", "<script>alert(1)</script>", "[text](http://evil.example)", "![x](y)", "`code`", "*bold* __b__ ~~s~~"),
    *("# title", "- item", "1. one", "&lt;", "$x$", "---", "\\b", "\\|", "www.evil.example", "http://evil.example"),
    *("<!--", "{{ x }}", "汽车 🚗", "<b@evil.example>", "]]>", "==x==", '"', "'"),
)


def manifest(labels=("人生", "人生##死亡"), **changes):
    fields = {"model_name": "scratch-tiny", "decoding": DecodingPolicy(), "tokeniser": TokeniserSettings(), **changes}
    fields = {"thresholds": (0.5,) * len(labels), "normalisation": "half_width", **fields}
    return Manifest(labels=labels, vocabulary_size=100, max_seq_length=128, **fields)


def front_matter(card):
    _, head, body = card.split("---\n", 2)
    return yaml.safe_load(head), body


class Shown(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def rendered(card):
    markdown = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
    return Shown(markdown.render(front_matter(card)[1]))


def test_an_export_writes_a_card_with_the_figures_of_the_record(bundle_path, checkpoint):
    card = Bundle(bundle_path).file("README.md").read_text(encoding="utf-8")
    record, shown = read_checkpoint(checkpoint).record, rendered(card).text
    for place in (record.metrics["dev"], *record.metrics["dev"]["levels"].values()):
        assert f"{100 * place['micro_f1']:.2f}\n{100 * place['macro_f1']:.2f}\n" in shown
    assert f"{100 * record.metrics['dev']['consistent_share']:.2f} %" in shown
    assert "9 on level 1, 65 on level 2" in shown
    assert "train.txt\ntraining\n1,500\n" in shown
    own = read_checkpoint(checkpoint).decoder().in_words()
    assert f"These figures were measured with {own}; this bundle decodes otherwise" in shown
    assert "gets the label that comes closest" in shown
    assert "2 layers of 128, 4 attention heads" in shown
    head, _ = front_matter(card)
    assert head["pipeline_tag"] == "text-classification"
    assert (head["license"], head["license_name"]) == ("other", "of-the-owner-of-the-training-data")


def test_the_record_tells_of_files_by_name_alone(checkpoint, sample_dataset):
    data, hierarchy = read_checkpoint(checkpoint).record.data, read_checkpoint(checkpoint).hierarchy
    assert data["train"] == {"file": "train.txt", "rows": 1500}
    assert data["dev"] == {"file": "dev.txt", "rows": 200}
    rows = list(read_examples(sample_dataset / "train.txt", hierarchy))
    assert data["label_rows"] == hierarchy.matrix([row.labels for row in rows]).sum(axis=0).tolist()


def test_rows_that_other_models_labelled_are_counted_apart():
    labels = np.array([[1, 0], [1, 1], [0.4, 0.9]], np.float32)
    taught = EncodedDataset(["a", "b", "c"], [np.array([1])] * 3, labels, ReadReport(rows=2))
    described = describe(Path("/home/me/news"), "/home/me/train.txt", taught, "dev.txt", taught)
    assert described["folder"] == "news"
    assert (described["label_rows"], described["further_rows"]) == ([2, 1], 1)
    assert described["train"] == {"file": "train.txt", "rows": 2}
    assert "learnt" not in model_card(manifest(training={"data": {**described, "further_rows": 0}}))
    assert "by the answers of other models | 1 |" in model_card(manifest(training={"data": described}))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_label_is_shown_as_it_is_and_does_nothing(name):
    plain = rendered(model_card(manifest()))
    shown = rendered(model_card(manifest((name, f"{name}##x"), training={"data": {"label_rows": [1, 20]} | FILES})))
    assert f"On level 1: {name}." in shown.text
    assert "a|b.txt\ntraining\n1\n" in shown.text
    assert f"fewer than 10 training rows: {name}." in shown.text
    assert shown.tags == plain.tags | {"table", "thead", "tbody", "tr", "th", "td"}


FILES = {"train": {"file": "a|b.txt", "rows": 1}, "dev": {"file": "dev.txt", "rows": 1}, "further_rows": 0}


def test_many_labels_and_long_ones_are_cut():
    labels = tuple(f"label {number}" for number in range(500))
    assert "label 19 and 480 more" in model_card(manifest(labels))
    assert escape("x" * 1000) == "x" * 79 + "…"


def test_every_policy_and_normalisation_has_its_words():
    assert set(POLICY_SENTENCES) == set(POLICIES)
    assert set(NORMALISATION_PHRASES) == set(NORMALISATIONS)


def test_thresholds_of_their_own_and_a_pruned_width_are_told():
    policy = DecodingPolicy("top_down", top_k=3)
    card = model_card(manifest(thresholds=(0.25, 0.75), decoding=policy, width="2/3", model_name="/home/me/minilm"))
    assert "from 0.25 to 0.75, the median 0.5" in card
    assert "Policy `top_down`" in card
    assert "At most 3 labels" in card
    assert "Encoder minilm, pruned to 2/3 of its heads and neurons" in card
    assert "/home" not in card


@pytest.mark.parametrize(
    ("model_name", "stated", "head", "said"),
    [
        ("scratch-mini", "", {"license": "other", "license_name": "of-the-owner-of-the-training-data"}, "its owner"),
        (
            *("ernie-3.0-medium-zh", ""),
            {"license": "other", "license_name": "of-ernie-3.0-medium-zh", "language": "zh"},
            "the licence of that model holds for them too. State the licence of these weights with `--license`",
        ),
        ("ernie-2.0-base-en", "apache-2.0", {"license": "apache-2.0", "language": "en"}, "as whoever exported"),
        ("build/minilm", "", {"license": "unknown"}, "Unknown: the weights started from minilm"),
    ],
)
def test_the_licence_is_what_was_stated_or_what_the_encoder_tells(model_name, stated, head, said):
    card = model_card(manifest(model_name=model_name, training={"license": stated}))
    found = front_matter(card)[0]
    assert {name: found[name] for name in ("license", "license_name", "language") if name in found} == head
    assert said in card


def test_a_checkpoint_and_a_bundle_of_before_are_read(checkpoint, tmp_path):
    """One that records neither data nor levels; and a bundle without a card."""
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    record = asdict(read_checkpoint(checkpoint).record)
    del record["data"], record["metrics"]["dev"]["levels"]
    (tmp_path / "checkpoint" / "training.json").write_text(json.dumps(record))
    write_all_checksums(tmp_path / "checkpoint")
    words = ("--params_path", tmp_path / "checkpoint", "--output_path", tmp_path / "export", "--license", "cc-by-4.0")
    export_model.main(list(map(str, words)))
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "Not recorded: the checkpoint was written by an older version" in card
    assert "| level 1 |" not in card
    assert front_matter(card)[0]["license"] == "cc-by-4.0"
    (tmp_path / "export" / "README.md").unlink()
    write_all_checksums(tmp_path / "export")
    bundle = Bundle(tmp_path / "export")
    assert "README.md" not in bundle.files
    assert "Not recorded" in model_card(replace(bundle.manifest, training={}, metrics={}))


def test_an_encoder_that_tells_where_it_comes_from_is_told_of():
    head, body = front_matter(
        model_card(manifest(model_name="e5", training={"origin": "a/b, 4-bit", "origin_license": "mit"}))
    )
    assert head["license"] == "mit" and "started from a/b, 4-bit, under mit" in body


def test_a_licence_of_two_lines_is_refused():
    with pytest.raises(InputError, match=r"--license is 'mit\\nor not'; give the licence's name, in one line"):
        export_model.ExportOptions(params_path=Path("x"), license="mit\nor not")


def test_the_labels_with_the_lowest_f1_are_told_where_enough_texts_have_them():
    labels = tuple(f"{'|<b>' * (number == 1)}{number}" for number in range(8))
    counts = {"rows": [10, 20, 9, 10, 10, 10, None, 40], "answered": [10, 20, 9, None, 30, 0, 4, 40]}
    counts["right"] = [9, 5, 0, 3, 10, 0, 4, 40]
    metrics = {"dev": {"micro_f1": 0.5}}
    files = {part: {"file": f"{part}.txt", "rows": 100} for part in ("train", "dev")}
    data = {**files, "further_rows": 0, "dev_labels": counts}
    shown = rendered(model_card(manifest(labels, metrics=metrics, training={"data": data}))).text
    assert "of the 5 that at least 10 of its texts have" in shown
    assert "texts\n\n\n\n\n5\n0.00\n10\n\n\n|<b>1\n25.00\n20\n\n\n4\n50.00\n10\n\n\n0\n90.00\n10" in shown
    broken = {"rows": [1] * 7, "answered": "x", "right": None}
    for data in ({}, {"dev_labels": broken}, {"dev_labels": 5}):
        assert not any(known_counts(data, 8)[name] != [None] * 8 for name in COUNTED)
