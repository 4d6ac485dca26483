"""Triton's model repository on disk: the bundles that were published, and the one that is live.

    tokenizer/3/, seqcls_model/3/, seqcls_postprocess/3/    bundle number 3: what each component needs of it, its
                                                            code, and version.json
    tokenizer/config.pbtxt, ...                             which versions the server loads
    seqcls/config.pbtxt                                     which version answers: every step is pinned to it

A version folder appears atomically, and is referred to by nothing yet. Which version is live changes by
replacing the one file seqcls/config.pbtxt. So whenever a process that writes here is killed, a server that starts
from the folder answers by one complete version.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.compute.graph_precision import write_graph
from pipeline.compute.runtimes import graph_files
from pipeline.errors import BundleError, InputError
from pipeline.files.atomic import DRAFT_SUFFIX, atomic_folder, atomic_writer, remove_folder
from pipeline.files.bundle import MANIFEST_FILE, ONNX_FILE, Bundle, join, stage
from pipeline.files.checksums import verify_folder
from pipeline.files.manifest import Manifest
from pipeline.served import ServedModel
from pipeline.tensors import ENSEMBLE
from serving.folders import MODEL_REPOSITORY
from serving.published import PublishedVersion
from serving.staging import copy_modules, verify_seal, write_seal
from serving.triton.configs.ensemble import (
    COMPONENTS,
    ENSEMBLE_VERSION,
    MODEL,
    POSTPROCESS,
    TOKENISER,
    as_json,
    component_configs,
    ensemble_config,
    is_damaged,
    names_versions,
    pinned_version,
)
from serving.triton.configs.native import write_native_graph
from serving.triton.options import NATIVE, ServingOptions, beside_each_other

CONFIG_FILE, VERSION_FILE, ADAPTER_FILE = "config.pbtxt", "version.json", "model.py"

_LEFTOVER = re.compile(rf"\.([0-9]+|{re.escape(CONFIG_FILE)})\.\w{{8}}({DRAFT_SUFFIX})?")
"""What a process that was killed while it published has left; hidden files of others stay."""

TritonVersion = PublishedVersion[ServingOptions]


class ModelRepository:
    """The folder that Triton serves; other models in it are left alone.

    Raises:
        InputError: the path is a file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).resolve()
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; give --model_repository a folder")

    def versions(self) -> list[TritonVersion]:
        """The published versions, oldest first; those that were never finished, or are damaged, are left out."""
        return [each for each in self._read().values() if not isinstance(each, BundleError)]

    def damaged(self) -> dict[int, str]:
        """What is wrong with the records that cannot be read, by number."""
        return {number: str(each) for number, each in self._read().items() if isinstance(each, BundleError)}

    def _read(self) -> dict[int, TritonVersion | BundleError]:
        found: dict[int, TritonVersion | BundleError] = {}
        numbers = sorted(int(path.name) for path in self.path.glob(f"{MODEL}/*") if path.name.isdecimal())
        for number in numbers:
            if all((self._folder(model, number) / VERSION_FILE).is_file() for model in COMPONENTS):
                try:
                    record = self._folder(MODEL, number) / VERSION_FILE
                    found[number] = PublishedVersion.read(record, ServingOptions, number)
                except BundleError as error:
                    found[number] = error
        return found

    def version(self, number: int) -> TritonVersion:
        """One version; raises InputError where there is none of that number, BundleError where it is damaged."""
        versions = self._read()
        if number not in versions:
            there = ", ".join(map(str, versions)) or "none"
            raise InputError(f"{self.path} holds no version {number}; it holds {there}")
        found = versions[number]
        if isinstance(found, BundleError):
            raise found
        return found

    def live(self) -> TritonVersion | None:
        """The version that answers; None before the first."""
        config = self.path / ENSEMBLE / CONFIG_FILE
        number = pinned_version(config.read_text(encoding="utf-8", errors="replace")) if config.is_file() else None
        try:
            return None if number is None else self.version(number)
        except InputError as error:
            raise BundleError(f"{error}; it is live: remove {config}, and publish a bundle again") from None

    def verify(self, version: TritonVersion) -> None:
        """Raise BundleError where files of a version are not as they were published."""
        for model in COMPONENTS:
            folder = self._folder(model, version.number)
            verify_folder(folder)
            tracked = folder / ADAPTER_FILE == _source(model)  # it changes with the project
            verify_seal(folder, *([ADAPTER_FILE] if tracked else []))

    def verify_configs(self, version: TritonVersion) -> None:
        """Raise BundleError where a configuration is not as it is written for the live version."""
        configs = component_configs(version.options, [version.number], self._labels(version.number))
        for model, text in {**configs, ENSEMBLE: ensemble_config(version, self._about(version))}.items():
            path = self.path / model / CONFIG_FILE
            if not path.is_file() or path.read_bytes() != text.encode():
                raise BundleError(f"{path} is damaged, missing or changed; publish the bundle again")
        if not self._folder(ENSEMBLE, ENSEMBLE_VERSION).is_dir():
            raise BundleError(f"{self._folder(ENSEMBLE, ENSEMBLE_VERSION)} is missing; publish the bundle again")

    def add(self, bundle: Bundle, version: TritonVersion) -> None:
        """Write a version of the bundle; nothing refers to it yet.

        Raises:
            InputError: it cannot be loaded beside the live version, or a model of somebody else has one of the names.
            EnvironmentFault, BundleError: the bundle lacks a graph that the options need, or has a wrong one.
        """
        number, options = version.number, version.options
        self._require_own()
        if live := self.live():
            kind = _kind(options, len(bundle.manifest.labels))
            self._require_alike({live.number: self._kind_of(live.number), number: kind})
        needed = {TOKENISER: bundle.reading_files, POSTPROCESS: bundle.explaining_files}
        native = options.backend == NATIVE
        needed[MODEL] = (ONNX_FILE,) if native else graph_files(bundle, options.runtime, options.graph_precision)
        for model in COMPONENTS:
            with atomic_folder(self._folder(model, number)) as folder:
                if model == MODEL and native:
                    write_native_graph(bundle, options, folder)
                elif model == MODEL:
                    write_graph(bundle, options.graph_precision, folder)  # a server has nothing to derive it with
                stage(bundle, needed[model], folder)
                copy_modules(_source(model), folder, ADAPTER_FILE)
                (folder / VERSION_FILE).write_text(version.text(), encoding="utf-8")
                write_seal(folder, VERSION_FILE)

    def bundle(self, version: TritonVersion, folder: Path) -> Bundle:
        """See `serving.deployment.Deployment.bundle`; raises BundleError where a part is damaged."""
        options = version.options
        parts = [Bundle(self._folder(model, version.number)) for model in (TOKENISER, MODEL)]
        return join(parts, (options.runtime, options.precision), folder)

    def load_only(self, *versions: TritonVersion) -> None:
        """Let servers load these versions of the components, and no others, as the last one is to be served.

        Triton has one configuration for all versions of a model, so it has to do for each of them.

        Raises:
            InputError: they cannot be loaded beside each other.
        """
        numbers = [version.number for version in versions]
        self._require_alike({number: self._kind_of(number) for number in numbers})
        options = beside_each_other([version.options for version in versions])
        for model, config in component_configs(options, numbers, self._labels(numbers[0])).items():
            self._write(model, config)

    def make_live(self, version: TritonVersion | None) -> None:
        """Let a version answer, or none; takes effect as a whole."""
        if version is None:
            (self.path / ENSEMBLE / CONFIG_FILE).unlink(missing_ok=True)
            return
        self._folder(ENSEMBLE, ENSEMBLE_VERSION).mkdir(parents=True, exist_ok=True)
        self._write(ENSEMBLE, ensemble_config(version, self._about(version)))

    def pin(self, version: TritonVersion) -> str:
        """The ensemble's configuration, in JSON, by which a version answers in a server that is given it."""
        return as_json(ensemble_config(version, self._about(version)))

    def touch(self, model: str, number: int) -> None:
        """Make a version of a component look changed, where this folder can be written."""
        with contextlib.suppress(OSError):
            os.utime(self._folder(model, number) / VERSION_FILE)

    def remove(self, number: int) -> None:
        """Remove a version, finished or not."""
        for model in COMPONENTS:
            folder = self._folder(model, number)
            if folder / ADAPTER_FILE == _source(model):
                _remove_all_but(folder, ADAPTER_FILE)
            elif (folder / VERSION_FILE).exists():
                remove_folder(folder)

    def remove_unfinished(self) -> None:
        """Clear away what a process that was killed has left; only to be called alone."""
        finished = self._read()
        for model in COMPONENTS:
            for record in self.path.glob(f"{model}/*/{VERSION_FILE}"):
                if record.parent.name.isdigit() and int(record.parent.name) not in finished:
                    self.remove(int(record.parent.name))
            for leftover in filter(lambda path: _LEFTOVER.fullmatch(path.name), self.path.glob(f"{model}/.*")):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def _require_own(self) -> None:
        """Raise InputError where a model lies under one of our names that publishing has not written."""
        for model in (*COMPONENTS, ENSEMBLE):
            folders = self.path.glob(f"{model}/[0-9]*") if model in COMPONENTS else ()
            foreign = [folder for folder in folders if not _is_own(folder, model)]
            config = self.path / model / CONFIG_FILE
            if config.is_file() and not self._is_own_config(config, model):
                foreign.append(config)
            if foreign:
                raise InputError(
                    f"{foreign[0]} was not written by publishing, which writes a model named {model} there; move "
                    "it away, or give --model_repository another folder"
                )

    def _is_own_config(self, config: Path, model: str) -> bool:
        """Whether publishing has written a configuration, or it is none, beside versions of ours."""
        text = config.read_text(encoding="utf-8", errors="replace")
        ours = model in COMPONENTS and any(self.path.glob(f"{model}/*/{VERSION_FILE}"))
        return names_versions(text) or (ours and is_damaged(text))

    def _folder(self, model: str, version: object) -> Path:
        return self.path / model / str(version)

    def _about(self, version: TritonVersion) -> str:
        """What a version's callers are told of it."""
        manifest = self.manifest(version.number)
        limits = manifest.most_tokens, version.options.max_batch_size
        return ServedModel.of(vars(version), manifest, *limits).to_json()

    def manifest(self, number: int) -> Manifest:
        """What the bundle of a version says of its model; raises InputError where it cannot be read."""
        return Manifest.from_json(self._manifest(number))

    def _manifest(self, number: int) -> dict[str, Any]:
        return json.loads((self._folder(MODEL, number) / MANIFEST_FILE).read_bytes())

    def _labels(self, number: int) -> int:
        """How many labels the configuration of a version states: 0 for none."""
        return len(self._manifest(number)["labels"]) if self.version(number).options.backend == NATIVE else 0

    def _kind_of(self, number: int) -> str:
        return _kind(self.version(number).options, self._labels(number))

    def _require_alike(self, kinds: Mapping[int, str]) -> None:
        if len(set(kinds.values())) > 1:
            which = " and ".join(f"version {number} ({kind})" for number, kind in kinds.items())
            raise InputError(
                f"{which} cannot be loaded side by side, because Triton has one configuration for all versions of a "
                "model; publish to another --model_repository, start a server on that, and let callers move there"
            )

    def _write(self, model: str, config: str) -> None:
        path = self.path / model / CONFIG_FILE
        if path.is_file() and path.read_bytes() == config.encode():
            return  # a file that looks changed makes servers load its model again
        with atomic_writer(path) as stream:
            stream.write(config.encode())


def _kind(options: ServingOptions, labels: int) -> str:
    """What versions that are loaded side by side have in common, in words."""
    if options.backend != NATIVE:
        return "Python backend"
    return f"native {options.runtime}, {labels} labels, {options.padded_lengths[-1]} tokens"


def _is_own(folder: Path, model: str) -> bool:
    """Whether publishing has written a version's folder, or it holds no more than this project's adapter."""
    adapter = folder / ADAPTER_FILE
    alone = folder.is_dir() and {path.name for path in folder.iterdir()} <= {ADAPTER_FILE, "__pycache__"}
    same = alone and (not adapter.exists() or adapter.read_bytes() == _source(model).read_bytes())
    return same or (folder / VERSION_FILE).is_file()


def _source(model: str) -> Path:
    return MODEL_REPOSITORY / model / "1" / ADAPTER_FILE


def _remove_all_but(folder: Path, kept: str) -> None:
    (folder / VERSION_FILE).unlink(missing_ok=True)  # first, so that what is left is not taken for a version
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != kept:
            path.unlink()
