"""From a checkpoint to a bundle whose graphs give the checkpoint's logits."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.command import announce
from pipeline.compute.engine import Engine
from pipeline.compute.runtimes import RUNTIMES, create_runtime
from pipeline.compute.windows import Windows
from pipeline.errors import ClassifierError
from pipeline.files.atomic import atomic_folder
from pipeline.files.bundle import EXAMPLES_FILE, MANIFEST_FILE, ONNX_FILE, Bundle, seal
from pipeline.files.checksums import check_replaceable, read_checksums
from pipeline.files.dataset import Example, write_examples
from pipeline.files.manifest import Golden, LabelGraph, Manifest
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.metrics.sets import LABEL_COUNTS
from pipeline.metrics.traffic import TOP_LABEL, TRAFFIC
from pipeline.text.linear import LINEAR_FILE
from pipeline.text.tokeniser_files import tokeniser_file
from training.checkpoint.files import RECORD_FILE, Checkpoint
from training.checkpoint.model_card import write_model_card
from training.model.encoders import model_logits
from training.model.model_names import public_name
from training.model.pretrained.hugging_face import ORIGIN_KEYS
from training.model.static_graph import export_onnx, export_static

LOGIT_TOLERANCE = 1e-4


def export_checkpoint(
    checkpoint: Checkpoint,
    output_path: Path,
    decoder: Decoder,
    *,
    license: str = "",
    keep_checkpoint: bool = False,
    goldens: Sequence[str] | None = None,
    examples: Sequence[Example] = (),
) -> Bundle:
    """Write the checkpoint's graphs and all that serving needs to `output_path`, as a bundle, atomically.

    Args:
        decoder: what the bundle decodes logits with.
        license: of the weights, for the model card; empty for what is known of the encoder.
        keep_checkpoint: put the checkpoint's files, and so its texts of the development file, into the same folder.
        goldens: the texts that the bundle keeps to check servers with; None for texts of the development file, and none
            for texts made of the labels' names.
        examples: rows of the training set that it keeps, to show those that a text is like.

    Raises:
        InputError: the checkpoint cannot be used, or `output_path` holds what is not part of a bundle.
        ClassifierError: an exported graph's logits differ from the checkpoint's by more than LOGIT_TOLERANCE.
    """
    kind, spared = (RECORD_FILE, "") if keep_checkpoint else (MANIFEST_FILE, RECORD_FILE)
    check_replaceable(output_path, "--output_path", kind, spared=spared)
    announce(f"loading {checkpoint.path}")
    model = checkpoint.model()
    texts = checkpoint.record.sample_texts if goldens is None else goldens or label_texts(checkpoint)
    encoder = checkpoint.encoder()
    encoder.check(texts)
    rows, _, linear = encoder.encode_checked(texts)
    windows = Windows.of(encoder)
    expected = windows.run_in_batches(rows, lambda *inputs: model_logits(model, *inputs))
    with atomic_folder(output_path) as folder:
        announce("writing the Paddle graphs")
        export_static(model, folder)
        announce("writing the ONNX graph")
        export_onnx(folder, folder / ONNX_FILE)
        own = (tokeniser_file(encoder.tokeniser.settings), *[LINEAR_FILE] * (linear is not None))
        kept = read_checksums(checkpoint.path) if keep_checkpoint else own
        for name in kept:
            shutil.copyfile(checkpoint.path / name, folder / name)
        manifest = _manifest(checkpoint, decoder, license, texts, checkpoint.combine(expected, linear))
        if examples:
            write_examples(folder / EXAMPLES_FILE, examples, checkpoint.hierarchy)
            manifest = replace(manifest, examples=len(examples))
        write_model_card(folder, manifest)
        bundle = seal(folder, manifest)
        announce("comparing the graphs with the checkpoint")
        _compare(bundle, windows, rows, expected)
    return Bundle(output_path)


def label_texts(checkpoint: Checkpoint) -> list[str]:
    """Texts of label names alone, about as many and as long as those of the development file."""
    names = [label.replace(SEPARATOR, " ") for label in checkpoint.hierarchy.labels]
    lengths = [len(text) for text in checkpoint.record.sample_texts] or [len(names[0])]
    median, texts = statistics.median(lengths), []
    for start in range(0, len(names), -(-len(names) // len(lengths))):
        text = names[start]
        for name in names[start + 1 :]:
            if len(text) + len(name) >= median:
                break
            text += f", {name}"
        texts.append(text)
    return texts


def _manifest(
    checkpoint: Checkpoint, decoder: Decoder, license: str, texts: Sequence[str], logits: np.ndarray
) -> Manifest:
    record, tokeniser = checkpoint.record, checkpoint.encoder().tokeniser
    answers = decoder.decode(logits).predictions()
    if answers and not any(answers):
        print(
            f"warning: none of the {len(answers)} golden texts gets a label; such a bundle cannot be published: train "
            "longer, lower the thresholds, or give other texts"
        )
    return Manifest(
        labels=checkpoint.hierarchy.labels,
        thresholds=tuple(float(threshold) for threshold in decoder.thresholds),
        decoding=decoder.policy,
        vocabulary_size=tokeniser.vocabulary_size,
        max_seq_length=record.max_seq_length,
        normalisation=record.normalisation,
        tokeniser=tokeniser.settings,
        model_name=public_name(record.model_name),
        metrics=record.metrics,
        width=record.width,
        encoder_weight=record.encoder_weight,
        calibration=decoder.calibration,
        promises=decoder.promises,
        goldens=tuple(
            Golden(text, tuple(prediction.label for prediction in answer)) for text, answer in zip(texts, answers)
        ),
        training=_training(checkpoint, decoder, license),
        long_texts=record.long_texts,
        graph=LabelGraph.of(checkpoint.hierarchy),
    )


def _training(checkpoint: Checkpoint, decoder: Decoder, license: str) -> dict[str, Any]:
    """How the model was made; see `pipeline.files.bundle.Manifest`."""
    origin: dict[str, str] = {}
    own, given, encoder = checkpoint.decoder().in_words(), decoder.in_words(), dict[str, int]()
    if checkpoint.record.encoder_weight != 0:
        config = checkpoint.model_config
        origin = {name: config[name] for name in ORIGIN_KEYS if isinstance(config.get(name), str)}
        encoder = {
            "layers": config["num_hidden_layers"],
            "heads": config["num_attention_heads"],
            "hidden_size": config["hidden_size"],
        }
    data = dict(checkpoint.record.data)
    if TRAFFIC in data and own != given:  # it was answered otherwise
        data[TRAFFIC] = {feature: bins for feature, bins in data[TRAFFIC].items() if feature != TOP_LABEL}
    if LABEL_COUNTS in data and not decoder.selects_as(checkpoint.decoder()):
        data[LABEL_COUNTS] = {"rows": data[LABEL_COUNTS]["rows"]}
    return {
        "data": data,
        "license": license,
        "measured_with": own if own != given else "",
        "encoder": encoder,
        **({"label_history": list(checkpoint.record.label_history)} if checkpoint.record.label_history else {}),
        **origin,
    }


def _compare(bundle: Bundle, windows: Windows, rows: Sequence[np.ndarray], expected: np.ndarray) -> None:
    for name in RUNTIMES:
        runtime, engine = create_runtime(bundle, name), Engine(bundle, name)
        computed = (windows.run_in_batches(rows, runtime.run), engine.logits(rows))
        difference = max(float(np.abs(logits - expected).max()) for logits in computed)
        print(f"{name}: logits differ from the checkpoint's by at most {difference:.1e} on {len(rows)} texts")
        if not difference <= LOGIT_TOLERANCE:
            raise ClassifierError(
                f"the exported graph's logits in {name} differ from the checkpoint's by {difference:.1e}, more than "
                f"{LOGIT_TOLERANCE:.0e}; nothing was exported"
            )
