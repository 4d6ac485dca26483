"""Bundles that answer differently from the one that the tests train, and can be told from it by any answer."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.files.bundle import ONNX_FILE, Bundle, seal
from pipeline.files.manifest import Golden
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.predictor import Predictor
from pipeline.text.subword import TOKENISER_FILE
from pipeline.text.wordpiece import VOCABULARY_FILE, read_vocabulary


def renamed_bundle(bundle: Bundle, folder: Path, mark: str) -> Bundle:
    """`bundle` with every label marked, and its labels in another order, in the manifest and in the graph.

    The graph of the one with the labels of the other would answer nonsense.
    """
    import onnx

    manifest, order = bundle.manifest, np.arange(len(bundle.hierarchy))[::-1].copy()
    marked = [SEPARATOR.join(mark + part for part in label.split(SEPARATOR)) for label in manifest.labels]
    folder.mkdir(parents=True)
    graph = onnx.load(bundle.file(ONNX_FILE))
    (output,) = graph.graph.output
    (source,) = [node for node in graph.graph.node if output.name in node.output]
    source.output[list(source.output).index(output.name)] = "in_old_order"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(order, "new_order"))
    graph.graph.node.append(onnx.helper.make_node("Gather", ["in_old_order", "new_order"], [output.name], axis=1))
    onnx.save(graph, folder / ONNX_FILE)
    shutil.copyfile(bundle.file(VOCABULARY_FILE), folder / VOCABULARY_FILE)
    names = dict(zip(manifest.labels, marked))
    goldens = tuple(Golden(golden.text, tuple(names[label] for label in golden.labels)) for golden in manifest.goldens)
    changed = replace(
        manifest,
        labels=tuple(marked[position] for position in order),
        thresholds=tuple(manifest.thresholds[position] for position in order),
        calibration=manifest.calibration and manifest.calibration.of_columns(order),
        goldens=goldens,
    )
    return seal(folder, changed)


def top_level_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """`bundle` with all its graphs, which answers each text by one label of the first level."""
    shutil.copytree(bundle.path, folder)
    decoding = replace(bundle.manifest.decoding, top_k=1, at_least_one=True)
    silent = seal(folder, replace(bundle.manifest, decoding=decoding, goldens=()))
    texts = [golden.text for golden in bundle.manifest.goldens]
    answers = zip(texts, Predictor(silent).predict(texts))
    goldens = tuple(Golden(text, tuple(label for label, _ in answer)) for text, answer in answers)
    return seal(folder, replace(silent.manifest, goldens=goldens))


def subword_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """`bundle` with as many tokens in a Unigram tokenizer.json, which reads texts in its own way."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokens = read_vocabulary(bundle.file(VOCABULARY_FILE))
    pieces = [(token, -1.0) if number < 5 else (f"{token}\u2582{number}", -9.0) for number, token in enumerate(tokens)]
    characters = sorted({character for golden in bundle.manifest.goldens for character in golden.text} - {" "})
    pieces[5 : 5 + len(characters)] = [(character, -3.0) for character in characters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    shutil.copytree(bundle.path, folder)
    (folder / VOCABULARY_FILE).unlink()
    tokenizer.save(str(folder / TOKENISER_FILE))
    settings = replace(bundle.manifest.tokeniser, kind="subword")
    decoding = replace(bundle.manifest.decoding, at_least_one=True)
    silent = seal(folder, replace(bundle.manifest, tokeniser=settings, decoding=decoding, goldens=()))
    texts = [golden.text for golden in bundle.manifest.goldens]
    answers = zip(texts, Predictor(silent).predict(texts))
    goldens = tuple(Golden(text, tuple(label for label, _ in answer)) for text, answer in answers)
    return seal(folder, replace(silent.manifest, goldens=goldens))
