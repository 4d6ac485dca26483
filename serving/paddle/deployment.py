"""The versions that Paddle Serving can serve, and the one that it does:

    2/, 3/    publications, as serving/paddle/publication.py tells
    live      a link to one of them

A running `python -m serving.paddle` changes over when the link does.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.errors import BundleError, InputError
from pipeline.files.atomic import DRAFT_SUFFIX, atomic_folder, remove_folder
from pipeline.files.bundle import Bundle, join
from pipeline.files.checksums import verify_folder
from pipeline.predictor import Predictor
from serving.deployment import Deployment
from serving.folders import PADDLE, alone_in
from serving.golden import GOLDEN_SECONDS, expected_answers
from serving.paddle.configuration import MODEL_FOLDER, PUBLISHED_FILE
from serving.paddle.control import ServiceControl
from serving.paddle.options import PaddleOptions
from serving.paddle.publication import (
    LIVE,
    PARTS,
    PaddleVersion,
    live_publication,
    read_publication,
    write_publication,
)
from serving.published import PublishedVersion, served
from serving.staging import verify_seal

SAME_GRAPH = ("openvino", "float32")
"""What computes a publication's graph where Paddle Serving is not at work."""
NO_FOLLOWER = "no service is running that was started from here"
LEFTOVER = re.compile(rf"\.({LIVE}|[0-9]+)\.\w{{8}}({DRAFT_SUFFIX})?")
"""What a process that was killed while it published has left; a folder may hold other hidden files, of others."""


class PaddleDeployment(Deployment[PaddleOptions]):
    """A folder of publications and the services that follow it.

    A publication of an earlier release lay in the folder itself; it is known as a version and kept like others.

    Args:
        path: the folder.
        servers: services that serve from it; they look for what is live by themselves.

    Raises:
        InputError: the path is a file.
    """

    key, server = PADDLE, "Paddle Serving"

    def __init__(self, path: Path | str, servers: Sequence[ServiceControl] = ()) -> None:
        self.path, self.servers = Path(path).resolve(), servers
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; give --paddle_folder a folder")

    def alone(self) -> AbstractContextManager[None]:
        return alone_in(self.path)

    def versions(self) -> list[PaddleVersion]:
        found = [each for each in self._read().values() if not isinstance(each, BundleError)]
        return sorted(found, key=lambda version: version.number)

    def damaged(self) -> dict[int, str]:
        return {number or 0: str(each) for number, each in self._read().items() if isinstance(each, BundleError)}

    def _read(self) -> dict[int | None, PaddleVersion | BundleError]:
        """The records by the number of their folder; None for what an earlier release has written."""
        found: dict[int | None, PaddleVersion | BundleError] = {}
        records = [*self.path.glob(f"[0-9]*/{PUBLISHED_FILE}"), *self.path.glob(PUBLISHED_FILE)]
        for folder in (record.parent for record in records):
            number = self._number(folder)
            try:
                found[number] = read_publication(folder, number)
            except BundleError as error:
                found[number] = error
        return found

    def _number(self, folder: Path) -> int | None:
        return int(folder.name) if folder.parent == self.path and folder.name.isdecimal() else None

    def live(self) -> PaddleVersion | None:
        folder = live_publication(self.path)
        if not (folder / PUBLISHED_FILE).is_file():
            return None
        try:
            return read_publication(folder, self._number(folder))
        except BundleError as error:
            raise BundleError(f"{error}; it is live: remove {self.path / LIVE}, and publish a bundle again") from None

    def write(self, bundle: Bundle, options: PaddleOptions, number: int, note: str = "") -> PaddleVersion:
        version = PublishedVersion.now(number, bundle, options, expected_answers(Predictor(bundle)), note)
        folder = self.path / str(number)
        if folder.exists():
            raise InputError(f"{folder} is there and no publication; give --paddle_folder a folder of its own")
        for leftover in filter(LEFTOVER.fullmatch, os.listdir(self.path)):
            shutil.rmtree(self.path / leftover)
        with atomic_folder(folder) as draft:
            write_publication(bundle, version, draft)
        return version

    def verify(self, version: PaddleVersion) -> None:
        verify_folder(self._folder(version.number) / MODEL_FOLDER)
        verify_seal(self._folder(version.number))

    def verify_live(self, version: PaddleVersion) -> None:
        self.verify(version)

    def bundle(self, version: PaddleVersion, folder: Path) -> Bundle:
        part = Bundle(self._folder(version.number) / MODEL_FOLDER)
        return join([part], SAME_GRAPH, folder)

    def remove(self, number: int) -> None:
        folder = self._folder(number)
        if not (folder / PUBLISHED_FILE).is_file():
            return
        if folder != self.path:
            remove_folder(folder)
            return
        for part in PARTS:
            path = folder / part
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextlib.contextmanager
    def beside(self, version: PaddleVersion) -> Iterator[PaddleVersion]:
        before = self.live()
        Bundle(self._folder(version.number) / MODEL_FOLDER)  # what is damaged, a service would not take over
        try:
            yield version
        except BaseException:
            if before is not None:
                self.make_live(before)
            else:
                (self.path / LIVE).unlink(missing_ok=True)
            raise

    def make_live(self, version: PaddleVersion) -> None:
        folder, link = self._folder(version.number), self.path / LIVE
        if folder == self.path:
            link.unlink(missing_ok=True)
            return
        draft = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{LIVE}.")) / LIVE
        try:
            draft.symlink_to(folder.name)
            os.replace(draft, link)
        finally:
            shutil.rmtree(draft.parent)

    def retire_others(self) -> None:
        """Nothing: a service has one version loaded."""

    def followers(self) -> str:
        count = len(self.servers)
        verb = "s change" if count > 1 else " changes"
        return (
            f"{count} running service{verb} over to it" if count else "no service is running that was started from here"
        )

    def loaded(self, server: ServiceControl) -> str:
        self.check(server)
        return str(server.number)

    def check(self, server: ServiceControl, seconds: float = GOLDEN_SECONDS) -> PaddleVersion:
        if model := server.model(seconds):
            version = served(self.versions(), self.path, server.address, model)
            server.check([random.choice(version.expected)], seconds)
            return version
        known = [version for version in self.versions() if version.number == server.number]
        version = known[0] if known else read_publication(live_publication(self.path))
        server.check([random.choice(version.expected)], seconds)
        return version

    def _folder(self, number: int) -> Path:
        own = self.path / str(number)
        older = (self.path / PUBLISHED_FILE).is_file() and not own.is_dir()
        return self.path if older and read_publication(self.path).number == number else own
