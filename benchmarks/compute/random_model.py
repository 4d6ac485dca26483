"""Models with random weights, as bundles: what they answer means nothing, what an answer costs does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.in_process import fresh_process
from pipeline.compute.batching import run_in_batches
from pipeline.compute.graph_precision import ONNX_FILES, derived_graph
from pipeline.files.bundle import MANIFEST_FILE, ONNX_FILE, Bundle, seal
from pipeline.files.checksums import CHECKSUM_FILE
from pipeline.files.manifest import Golden, Manifest
from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.vocabulary import build_vocabulary
from pipeline.text.wordpiece import VOCABULARY_FILE, WordPiece
from pipeline.text.words import TokeniserSettings
from training.make_sample_dataset import LABELS
from training.model.model_names import SCRATCH, ScratchShape
from training.model.pretrained.names import NAMED

VOCABULARY_SIZE, LENGTH = 40_000, 128
"""As of the ERNIE 3.0 models."""
SETTINGS = TokeniserSettings("ernie")


def _shape(name: str, layers: int, heads: int, feed_forward_size: int) -> ScratchShape:
    return ScratchShape(NAMED[f"{name}-zh"].width, layers, heads, feed_forward_size)


ERNIE = {
    "ernie-3.0-xbase": _shape("ernie-3.0-xbase", layers=20, heads=16, feed_forward_size=4096),
    "ernie-3.0-base": _shape("ernie-3.0-base", layers=12, heads=12, feed_forward_size=3072),
    "ernie-3.0-medium": _shape("ernie-3.0-medium", layers=6, heads=12, feed_forward_size=3072),
    "ernie-3.0-mini": _shape("ernie-3.0-mini", layers=6, heads=12, feed_forward_size=1536),
    "ernie-3.0-micro": _shape("ernie-3.0-micro", layers=4, heads=12, feed_forward_size=1536),
    "ernie-3.0-nano": _shape("ernie-3.0-nano", layers=4, heads=12, feed_forward_size=1248),
}
"""The shapes of the published models."""
SHAPES = {**SCRATCH, **ERNIE, "multilingual-e5-small": ScratchShape(384, 12, 12, 1536)}
SEED = 3
TUNING_TEXTS, GOLDENS = 128, 4
GAIN = 2.0
"""Of a layer. With that of 0.5 which training begins with, what sets texts apart drowns in bfloat16's errors."""
SPREAD, LABELS_PER_TEXT = 2.0, 1
"""As of a trained model: what the logits of a label vary by over texts, and how many labels a text gets of its own."""


def create_bundle(
    shape: str,
    folder: Path,
    texts: Sequence[str] = (),
    width: Fraction = Fraction(1),
    precisions: Iterable[str] = (),
    labels: Sequence[str] = LABELS,
    max_seq_length: int = LENGTH,
) -> Bundle:
    """A model of a scratch shape as a bundle in `folder`, which does not exist yet.

    The same arguments give the same model. It imports paddle, which changes this process's environment: start servers
    in another.

    Args:
        shape: a name of SHAPES.
        texts: what it will classify: its vocabulary knows their characters, and its classifier gives them about
            LABELS_PER_TEXT labels and their parents. Without any, its vocabulary is fillers and it answers anything.
        width: share of the heads and neurons that a pruned model has kept.
        precisions: of which it holds a graph, beside float32.
        labels: label paths, parents among them.
        max_seq_length: tokens that it reads of a text at most.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    import paddle
    from paddlenlp.transformers import ErnieForSequenceClassification

    from training.model.encoders import scratch_config
    from training.model.narrowing import narrowed
    from training.model.static_graph import export_onnx, export_static

    paddle.seed(SEED)
    config = scratch_config(SHAPES[shape], VOCABULARY_SIZE, len(labels), max_seq_length)
    config.initializer_range = GAIN / config.hidden_size**0.5
    model = ErnieForSequenceClassification(config)
    if width != 1:
        narrowed(model, width)
    model.eval()
    folder.mkdir(parents=True)
    (folder / VOCABULARY_FILE).write_text("\n".join(_vocabulary(texts)) + "\n", encoding="utf-8")
    goldens = _tune(model, folder, texts[:TUNING_TEXTS], labels, max_seq_length) if texts else ()
    export_static(model, folder)
    export_onnx(folder, folder / ONNX_FILE)
    for precision in precisions:
        (folder / ONNX_FILES[precision]).write_bytes(derived_graph(folder / ONNX_FILE, precision))
    manifest = Manifest(
        labels=tuple(labels),
        thresholds=(0.5,) * len(labels),
        decoding=DecodingPolicy(),
        vocabulary_size=VOCABULARY_SIZE,
        max_seq_length=max_seq_length,
        normalisation="none",
        tokeniser=SETTINGS,
        model_name=f"{shape} with random weights",
        goldens=goldens,
        width=str(width),
    )
    return seal(folder, manifest)


def made_bundle(shape: str, folder: Path, texts: Sequence[str], **options: Any) -> Bundle:
    """As `create_bundle`, in a process of its own.

    paddle sets variables that would limit the threads of whatever is started by a process that has imported it.
    """
    with fresh_process() as pool:
        return pool.submit(create_bundle, shape, folder, texts, **options).result()


def with_raw_graph(bundle: Bundle, folder: Path) -> Bundle:
    """A copy in `folder`, which does not exist yet, whose ONNX graph is the one that paddle2onnx writes."""
    from training.model.static_graph import raw_onnx

    shutil.copytree(bundle.path, folder, ignore=shutil.ignore_patterns("*.onnx", MANIFEST_FILE, CHECKSUM_FILE))
    (folder / ONNX_FILE).write_bytes(raw_onnx(folder))
    return seal(folder, bundle.manifest)


def _vocabulary(texts: Sequence[str]) -> list[str]:
    words = build_vocabulary(texts, VOCABULARY_SIZE, SETTINGS) if texts else list(SETTINGS.special_tokens)
    return words + [f"[unused{number}]" for number in range(VOCABULARY_SIZE - len(words))]


def _tune(
    model: Any, folder: Path, texts: Sequence[str], labels: Sequence[str], max_seq_length: int
) -> tuple[Golden, ...]:
    """Scale and shift the classifier for SPREAD and LABELS_PER_TEXT; the texts that it is surest of, with its answers.

    Left as they are, random weights give every text the same labels, half of all.
    """
    from training.model.encoders import model_logits

    rows = TextEncoder("none", WordPiece(folder / VOCABULARY_FILE, SETTINGS, max_seq_length)).encode(texts)
    logits = run_in_batches(rows, lambda *inputs: model_logits(model, *inputs))
    scale = SPREAD / np.maximum(logits.std(axis=0), 1e-6)
    shift = np.quantile(logits * scale, 1 - LABELS_PER_TEXT / len(labels), axis=0)
    classifier = model.classifier
    classifier.weight.set_value((classifier.weight.numpy() * scale).astype(np.float32))
    classifier.bias.set_value((classifier.bias.numpy() * scale - shift).astype(np.float32))
    logits = logits * scale - shift
    answered = np.flatnonzero((logits > 0).any(axis=1))
    surest = answered[np.argsort(-np.abs(logits[answered]).min(axis=1))[:GOLDENS]]
    answers = Decoder(LabelHierarchy(labels)).decode(logits[surest]).predictions()
    return tuple(
        Golden(texts[row], tuple(prediction.label for prediction in answer)) for row, answer in zip(surest, answers)
    )
