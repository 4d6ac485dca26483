"""The release gate: from exports and pruned models to the one bundle that is published."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.command import announce
from pipeline.compute.graph_precision import ONNX_FILES, write_graph
from pipeline.compute.runtimes import graph_files, precisions_of, unavailable
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.bundle import (
    EXAMPLES_FILE,
    MANIFEST_FILE,
    PACKED_GRAPH_FILE,
    PADDLE_GRAPH_FILE,
    PADDLE_PARAMETERS_FILE,
    Bundle,
    seal,
)
from pipeline.files.checksums import check_replaceable
from pipeline.files.dataset import read_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.output import counted
from pipeline.text.linear import LINEAR_FILE
from pipeline.text.normalisation import normalise
from pipeline.text.subword import TOKENISER_FILE
from pipeline.text.wordpiece import VOCABULARY_FILE
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import RECORD_FILE
from training.checkpoint.model_card import write_model_card
from training.gate.options import ReleaseOptions
from training.gate.table import draw, markdown, table
from training.gate.timing import BATCHES_OF_32, Timing
from training.gate.verdict import (
    CHECKPOINT,
    Candidate,
    NothingPasses,
    Quality,
    best_refusal,
    chosen_for,
    fastest_first,
    measure_quality,
    refusal,
    too_few,
)
from training.gate.worker import Worker

PLOT_FILE = "gate.png"
RELEASED_FILES = (
    VOCABULARY_FILE,
    TOKENISER_FILE,
    LINEAR_FILE,
    EXAMPLES_FILE,
    PADDLE_GRAPH_FILE,
    PADDLE_PARAMETERS_FILE,
    PACKED_GRAPH_FILE,
    *ONNX_FILES.values(),
)
"""Of a bundle; a pruned model's folder is a checkpoint as well."""
REFERENCE = "onnxruntime"  # in float32 it gives the logits that the export was checked with


@dataclass(frozen=True)
class LabelledTexts:
    """Texts of a labelled file and their labels, bool [texts, labels]."""

    texts: list[str]
    actual: np.ndarray


def columns(hierarchy: LabelHierarchy) -> tuple[Sequence[Sequence[str]], ...]:
    """Equal for hierarchies with the same labels in the same columns, with the same parents."""
    return hierarchy.paths, hierarchy.edges


def release_fastest(options: ReleaseOptions, compared: str = CHECKPOINT) -> Bundle:
    """Measure all candidates, print the table, and write the fastest that passes; see `training.release.release`."""
    params_path, output_path = options.params_path, options.output_path
    check_replaceable(
        output_path, "--output_path", MANIFEST_FILE, spared=RECORD_FILE, inputs=[*options.bundles, params_path]
    )
    opened = [Bundle(path) for path in options.bundles]
    for bundle in opened:
        if columns(bundle.hierarchy) != columns(opened[0].hierarchy):
            raise InputError(f"{bundle.path} and {opened[0].path} have different labels; give bundles of one model")
    read: list[LabelledTexts] = []

    def check(hierarchy: LabelHierarchy, _: str) -> None:
        if columns(hierarchy) != columns(opened[0].hierarchy):
            raise InputError(f"{params_path} and {opened[0].path} have different labels; export the checkpoint again")
        read.append(_read(options.labelled, opened[0]))  # after the labels, and before anything slow

    classifier = load_classifier(params_path, options.device, opened[0].manifest.max_seq_length, 32, check)
    (data,) = read
    announce(f"{params_path} on {counted(len(data.texts), 'text')}")
    logits = classifier.logits(data.texts)
    whole = classifier.decoder.decode(logits).selected
    unpruned = measure_quality(classifier.decoder, logits, logits, whole, data.actual)
    print(
        f"{params_path}: micro F1 {unpruned.micro_f1:.4f}, macro F1 {unpruned.macro_f1:.4f} on {len(data.texts)} texts"
    )
    if note := too_few(len(data.texts), options):
        print(f"note: {options.labelled}: {note}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        announce(f"writing the graphs of {counted(len(opened), 'bundle')}")
        complete = [with_all_graphs(bundle, options.precisions, Path(place)) for bundle in opened]
        entries = _entries(complete, options)
        _measure(entries, data, whole, unpruned, options, compared)
        candidates = [entry.candidate for entry in entries]
        passed = fastest_first(candidates, options.use)
        print(table(candidates, passed[0] if passed else None))
        if not passed:
            raise NothingPasses(f"no candidate passed the gate; nothing was released{best_refusal(candidates)}")
        chosen = next(entry.bundle for entry in entries if entry.candidate is passed[0])
        of_bundle = [candidate for candidate in passed if candidate.bundle == passed[0].bundle]
        with atomic_folder(output_path) as folder:
            for name in RELEASED_FILES:
                if name in chosen.files:
                    shutil.copyfile(chosen.file(name), folder / name)
            draw(candidates, passed[0], folder / PLOT_FILE)
            gate = _record(candidates, of_bundle, len(data.texts), options)
            manifest = replace(chosen.manifest, gate=gate)
            write_model_card(folder, manifest, markdown(candidates, passed[0]))
            seal(folder, manifest)
    assert passed[0].quality
    print(
        f"released {passed[0].bundle} in {passed[0].runtime} {passed[0].precision} to {output_path}: "
        f"{passed[0].quality.losses(unpruned, compared)}"
    )
    print(chosen_for(options.use, passed))
    return Bundle(output_path)


@dataclass(frozen=True)
class _Entry:
    """A candidate and the bundle that it is of."""

    bundle: Bundle
    candidate: Candidate


def _entries(bundles: Sequence[Bundle], options: ReleaseOptions) -> list[_Entry]:
    """Every combination, with a refusal where this machine lacks it."""
    entries = []
    for bundle in bundles:
        for runtime in options.runtimes:
            for precision in (own for own in precisions_of(runtime) if own in options.precisions):
                reason = unavailable(runtime, precision) or ""
                width = bundle.manifest.width
                entries.append(_Entry(bundle, Candidate(bundle.path.name, width, runtime, precision, refusal=reason)))
    return entries


def _measure(
    entries: Sequence[_Entry],
    data: LabelledTexts,
    whole: np.ndarray,
    unpruned: Quality,
    options: ReleaseOptions,
    compared: str,
) -> None:
    """Fill in quality, cost and refusal of each candidate that this machine can run.

    Args:
        whole: the checkpoint's label sets, bool [texts, labels].
        unpruned: its quality.
        compared: what the checkpoint is called.
    """
    threads = options.num_threads
    with contextlib.ExitStack() as stack:
        running: list[tuple[_Entry, Worker, Timing]] = []
        references: dict[Path, np.ndarray] = {}
        for entry in entries:
            bundle, candidate = entry.bundle, entry.candidate
            if candidate.refusal:
                continue
            announce(f"{candidate.bundle} in {candidate.runtime} {candidate.precision}")
            encoder = bundle.encoder()
            encoder.check(data.texts)
            rows, _, linear = encoder.encode_checked(data.texts)
            if bundle.path not in references:
                with Worker(bundle.path, REFERENCE, "float32", threads) as reference:
                    references[bundle.path] = bundle.manifest.combine(reference.logits(rows), linear)
            worker = stack.enter_context(
                Worker(bundle.path, candidate.runtime, candidate.precision, options.num_threads)
            )
            try:
                logits = bundle.manifest.combine(worker.logits(rows), linear)
            except (ClassifierError, EnvironmentFault) as error:
                candidate.refusal = str(error)
                continue
            expected = references[bundle.path]
            candidate.quality = measure_quality(bundle.decoder(), logits, expected, whole, data.actual)
            same_width = measure_quality(bundle.decoder(), expected, expected, whole, data.actual).micro_f1
            candidate.refusal = refusal(candidate, same_width, unpruned, options, compared)
            normalised = [normalise(text, encoder.normalisation) for text in data.texts[: 32 * BATCHES_OF_32]]
            running.append((entry, worker, Timing(rows, normalised, encoder.linear)))
        announce(f"timing {counted(len(running), 'candidate')} in {counted(options.rounds, 'round')}")
        for _ in range(options.rounds):
            for _, worker, timing in running:
                timing.take(worker)
        for entry, worker, timing in running:
            more = [LINEAR_FILE] * (entry.bundle.manifest.encoder_weight is not None)
            files = *graph_files(entry.bundle, entry.candidate.runtime, entry.candidate.precision), *more
            file_bytes = sum(entry.bundle.file(name).stat().st_size for name in files)
            entry.candidate.cost = timing.cost(worker.resident_bytes(), file_bytes)


def with_all_graphs(bundle: Bundle, precisions: Sequence[str], place: Path) -> Bundle:
    """A copy of `bundle` in a folder of the same name in `place`, with the graphs that `precisions` need."""
    folder = place / bundle.path.resolve().name
    if folder.exists():
        raise InputError(f"two of the --bundles are called {folder.name}; rename one folder")
    folder.mkdir()
    for name in bundle.files:
        shutil.copyfile(bundle.file(name), folder / name)
    for precision in precisions:
        write_graph(bundle, precision, folder)
    return seal(folder, bundle.manifest)


def _record(
    candidates: Sequence[Candidate], passed: Sequence[Candidate], texts: int, options: ReleaseOptions
) -> dict[str, Any]:
    """What the released bundle says of the gate that it went through."""
    return {
        "choices": [{"runtime": candidate.runtime, "precision": candidate.precision} for candidate in passed],
        "allowances": {
            "half": options.allowance_half,
            "int8": options.allowance_int8,
            "width": options.allowance_width,
            "macro": options.allowance_macro,
            "agreement": options.agreement,
        },
        "measured_on": options.labelled.name,
        "texts": texts,
        "threads": options.num_threads or len(os.sched_getaffinity(0)),
        "use": options.use,
        "processor": processor(),
        "candidates": [candidate.to_json() for candidate in candidates],
    }


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _read(labelled: Path, bundle: Bundle) -> LabelledTexts:
    examples = list(read_examples(labelled, bundle.hierarchy))
    if not examples:
        raise InputError(f"{labelled} has no rows; there is nothing to measure on")
    actual = bundle.hierarchy.matrix([example.labels for example in examples])
    return LabelledTexts([example.text for example in examples], actual)
