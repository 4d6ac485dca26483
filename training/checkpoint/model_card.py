"""The model card: README.md of a bundle, for people, in the form that model hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleError
from pipeline.explanation.pieces import BEGINNING_CHARACTERS
from pipeline.files.bundle import CARD_FILE, MANIFEST_FILE
from pipeline.files.manifest import FORMAT_VERSION, Manifest
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.linear import MOST_CHARACTERS
from training.checkpoint.card_results import results
from training.checkpoint.card_text import escape, markdown_table
from training.data.reading import FEW_ROWS
from training.model.model_names import DOCUMENTED, LINEAR, SCRATCH, public_name
from training.model.pretrained.names import NAMED

SHOWN_LABELS = 20
POLICY_SENTENCES = {
    "threshold": "a label is answered where its score reaches its threshold, whatever its parents' scores are",
    "ancestors": "a label is answered where its score reaches its threshold, and its ancestors with it",
    "top_down": "a label is answered where its score and those of all its ancestors reach their thresholds",
    "single_path": "of the labels that reach their thresholds, those on the best path are answered",
}
NORMALISATION_PHRASES = {
    "none": "texts are read as they are",
    "half_width": "full-width forms of ASCII characters become ASCII, and each run of white space one space",
    "half_width_composed": "full-width forms of ASCII characters become ASCII, each run of white space one space, and "
    "letters and their combining marks one character (NFC)",
}


def write_model_card(folder: Path, manifest: Manifest, gate: str = "") -> None:
    """Write README.md into a bundle that is not sealed yet; `gate` is the release gate's table, in Markdown."""
    (folder / CARD_FILE).write_text(model_card(manifest, gate), encoding="utf-8")


def model_card(manifest: Manifest, gate: str = "") -> str:
    """The card in Markdown with a front matter in YAML. What the manifest does not know is said to be unknown.

    Raises:
        BundleError: what the manifest keeps for people is not as export and release write it.
    """
    try:
        return "\n\n".join(_sections(manifest, gate)) + "\n"
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{MANIFEST_FILE}: metrics, gate or training cannot be told in a model card ({error!r}); export the bundle "
            "again"
        ) from error


def _sections(manifest: Manifest, gate: str) -> list[str]:
    hierarchy = manifest.hierarchy
    return [
        _front_matter(manifest),
        f"# {_name(manifest)}: {len(hierarchy)} labels on {hierarchy.depth} levels",
        "Reads a text and answers the label paths that fit it, each with a confidence.",
        _encoder(manifest),
        *("## Labels", _labels(hierarchy)),
        *(("## Label changes", _changes(history)) if (history := manifest.training.get("label_history")) else ()),
        *("## Training data", _data(manifest.training.get("data", {}))),
        *("## Results", results(manifest, hierarchy)),
        *(("## Release gate", _gate(manifest), gate) if gate else ()),
        *("## Thresholds and decoding", _decoding(manifest)),
        *("## Limits", _limits(manifest)),
        *("## Licence of the weights", _licence(manifest)[1]),
        *("## Use", _use()),
        *("## Identity", _identity(manifest)),
    ]


def _front_matter(manifest: Manifest) -> str:
    name = manifest.model_name
    fields = {
        **({"language": name.rpartition("-")[2]} if name in DOCUMENTED else {}),
        **_licence(manifest)[0],
        "pipeline_tag": "text-classification",
        "tags": ["hierarchical-text-classification", "multi-label-classification", "onnx", "paddlepaddle"],
        "metrics": ["f1", "precision", "recall", "accuracy"],
    }
    # A value of JSON is one of YAML.
    return "\n".join(
        ["---", *(f"{field}: {json.dumps(value, ensure_ascii=False)}" for field, value in fields.items()), "---"]
    )


def _name(manifest: Manifest) -> str:
    return escape(public_name(manifest.model_name) or "unnamed encoder")


def _encoder(manifest: Manifest) -> str:
    linear = "a linear model of the n-grams of a text, TF-IDF with a support vector machine for each label"
    if manifest.encoder_weight == 0:
        return f"No encoder: {linear}."
    said = [f"Encoder {_name(manifest)}"]
    if shape := manifest.training.get("encoder"):
        said.append(f"{shape['layers']} layers of {shape['hidden_size']}, {shape['heads']} attention heads in each")
    if manifest.width != "1":
        said.append(f"pruned to {escape(manifest.width)} of its heads and neurons")
    beside = f" Beside it {linear}; what both say is added." if manifest.encoder_weight is not None else ""
    return f"{', '.join(said)}, {manifest.vocabulary_size:,} word pieces.{beside}"


def _labels(hierarchy: LabelHierarchy) -> str:
    counts = [int((hierarchy.levels == level).sum()) for level in range(1, hierarchy.depth + 1)]
    of_levels = ", ".join(f"{count} on level {level}" for level, count in enumerate(counts, start=1))
    top = [label for label, level in zip(hierarchy.labels, hierarchy.levels) if level == 1]
    graph = "" if not hierarchy.is_graph else " They form a graph: a label may have several parents."
    return f"{of_levels}; the list is in `bundle.json`. On level 1: {_listed(top)}.{graph}"


def _changes(history: Sequence[Mapping[str, Any]]) -> str:
    """What was done to the labels without training; see `training.label_changes.columns`."""
    rows = [
        (
            escape(entry["when"]),
            escape(entry["from"]),
            " ".join([change[0], *(f"“{escape(path)}”" for path in change[1:])]),
        )
        for entry in history
        for change in entry["changes"]
    ]
    further = len(rows) - SHOWN_LABELS
    table = markdown_table(("when", "checkpoint", "change"), rows[-SHOWN_LABELS:], named=3)
    more = f"{further} earlier changes are in `bundle.json`.\n\n" if further > 0 else ""
    return f"Since training these were made; every other label kept its scores.\n\n{more}{table}"


def _listed(labels: Sequence[str]) -> str:
    further = len(labels) - SHOWN_LABELS
    shown = " · ".join(map(escape, labels[:SHOWN_LABELS]))
    return f"{shown} and {further} more" if further > 0 else shown


def _data(data: Mapping[str, Any]) -> str:
    if not data:
        return "Not recorded: the checkpoint was written by an older version of this software."
    rows = [(escape(data[part]["file"]), use, f"{data[part]['rows']:,}") for part, use in _USES.items()]
    if data["further_rows"]:
        rows.append(("further texts", "training, by the answers of other models", f"{data['further_rows']:,}"))
    return markdown_table(("file", "used for", "rows"), rows, named=2)


_USES = {"train": "training", "dev": "choosing the best epoch, the thresholds and what is measured below"}


def _gate(manifest: Manifest) -> str:
    gate = manifest.gate
    texts = f"{gate['texts']:,} texts of {escape(gate['measured_on'])}"
    processor = f"{gate['threads']} threads of {escape(gate['processor'])}"
    return f"Every candidate was compared with the checkpoint on {texts}, and timed on {processor}."


def _decoding(manifest: Manifest) -> str:
    policy, thresholds = manifest.decoding, np.asarray(manifest.thresholds, np.float64)
    said = [f"Policy `{policy.policy}`: {POLICY_SENTENCES[policy.policy]}."]
    if len(set(manifest.thresholds)) == 1:
        said.append(f"The threshold of every label is {thresholds[0]:g}.")
    else:
        said.append(
            f"Each label has a threshold of its own, from {thresholds.min():g} to {thresholds.max():g}, the median "
            f"{np.median(thresholds):g}."
        )
    if policy.at_least_one:
        said.append("A text in which no label reaches its threshold gets the label that comes closest.")
    if policy.leading:
        named = ", ".join(map(escape, policy.leading))
        said.append(f"Added without training, and taken before others where they reach their threshold: {named}.")
    if policy.top_k:
        said.append(f"At most {policy.top_k} labels are answered.")
    for promise in manifest.promises:
        found = f"found on {promise.rows:,} rows of {escape(promise.rests_on)}"
        said.append(f"It can answer by a {promise.in_words(manifest.hierarchy.depth)}; {found}.")
    return " ".join(said)


def _limits(manifest: Manifest) -> str:
    reads = manifest.long_texts.in_words(manifest.max_seq_length)
    if manifest.encoder_weight == 0:
        reads = f"the first {MOST_CHARACTERS:,} characters of a text"
    said = [
        f"It reads {reads}; the rest is cut off.",
        f"Before reading, {NORMALISATION_PHRASES[manifest.normalisation]} (`{manifest.normalisation}`).",
        "It knows the language and the kind of text that it was trained on, and was tested on no other.",
        "What training chose, such as the best epoch and the thresholds, it chose on the file that the results are "
        "measured on: expect a little less on new texts.",
        "It was not tested on texts that fit no label, and not against texts written to deceive it.",
    ]
    if counts := manifest.training.get("data", {}).get("label_rows"):
        few = [label for label, count in zip(manifest.labels, counts) if count < FEW_ROWS]
        rare = f"{len(few)} labels have fewer than {FEW_ROWS} training rows: {_listed(few)}."
        said.append(rare if few else f"Every label has at least {FEW_ROWS} training rows.")
    return "\n".join(f"- {sentence}" for sentence in said)


def _licence(manifest: Manifest) -> tuple[dict[str, str], str]:
    """Fields of the front matter, and what is said."""
    stated, name = manifest.training.get("license", ""), _name(manifest)
    if stated:
        return {"license": stated}, f"{escape(stated)}, as whoever exported the model stated."
    if manifest.model_name in {*SCRATCH, LINEAR}:
        said = "The weights were trained from nothing, on the data above alone: they are under the terms of its owner."
        return {"license": "other", "license_name": "of-the-owner-of-the-training-data"}, said
    if origin := manifest.training.get("origin"):
        licence = manifest.training.get("origin_license", "")
        said = (
            f"The encoder started from {escape(origin)}, under {escape(licence) or 'a licence that is not recorded'}."
        )
        return {"license": licence or "unknown"}, said
    fill_in = "State the licence of these weights with `--license` when the model is exported."
    if manifest.model_name in NAMED:
        said = f"The weights started from {name}, so that the licence of that model holds for them too. {fill_in}"
        return {"license": "other", "license_name": f"of-{manifest.model_name}"}, said
    return {"license": "unknown"}, f"Unknown: the weights started from {name}, whose licence is not recorded. {fill_in}"


def _use() -> str:
    return """With the software that wrote it; `BUNDLE` is this folder:

```shell
python pipeline/infer.py --model_path_prefix BUNDLE --data_file texts.txt   # without a server, a text per line
python -m serving.publish --bundle BUNDLE && make serve                     # with NVIDIA Triton
python -m clients.triton "a text"                                           # asks that server
```"""


def _identity(manifest: Manifest) -> str:
    said = f"""Bundle format {FORMAT_VERSION}. A bundle is complete and never changed: `SHA256SUMS` holds a checksum of
each file, this one included, and `sha256sum --check SHA256SUMS` verifies them. The first 12 digits of
`sha256sum SHA256SUMS` are the bundle's identity, which `serving.versions` shows for what is served.

`bundle.json` holds some texts of the development file and the answers that a server has to give to them."""
    if manifest.examples:
        said += f"""

`examples.txt` holds {manifest.examples:,} rows of the training set, of each text the first {BEGINNING_CHARACTERS}
characters. Servers show them to whoever asks why a text got its labels."""
    return said
