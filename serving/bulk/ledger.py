"""The folder of the output: who may write to it, what is done already, and how a part comes to be a part of it.

    run.json                 of which bundle and options it is
    parts/*.parquet          the answers, a file for each shard
    bad/*.jsonl              rows that could not be answered, of shards that have some
    manifest*.jsonl          a line for each part; one file, or one for each pod of a job
    summary.json             the counts, once all is done
    drafts/                  what is being written

A part counts when its line stands in the manifest and it is, byte for byte, what the line says. The line is written
last, so that a kill at any moment leaves a shard either done or to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.checksums import sha256_file
from pipeline.output import counted
from pipeline.records import from_fields, parse_json, read_json
from serving.bulk.options import REFUSE, BulkOptions
from serving.bulk.scoring import FORMAT_VERSION, Part
from serving.bulk.shards import Shard
from serving.bulk.sources import say

RUN_FILE, SUMMARY_FILE, DUPLICATES_FILE, LOCK_FILE = "run.json", "summary.json", "duplicates.jsonl", ".lock"
MANIFEST_FILE = "manifest.jsonl"
PARTS, BAD, DRAFTS = "parts", "bad", "drafts"
HASHED_AT_ONCE = 4


@dataclass(frozen=True)
class Entry:
    """A line of the manifest: a part, and what it was made of.

    Attributes:
        source, source_size, source_version: the file, as it was found.
        bundle, options: identity, and digest of the options.
        stem: of the files `parts/STEM.parquet` and `bad/STEM.jsonl`.
        shard, rows, bad_rows, truncated, size, sha256, bad_sha256: as `Part` has them.
    """

    shard: str
    source: str
    source_size: int
    source_version: str
    bundle: str
    options: str
    stem: str
    rows: int
    bad_rows: int
    truncated: int
    size: int
    sha256: str
    bad_sha256: str


class Ledger:
    """The output folder of one run, held for as long as a `with` block lasts.

    Args:
        options: what is run.
        bundle: the bundle's identity.
        shards: all shards of the run, of all pods.

    Attributes:
        entries: what is done, by shard.
        own: the shards that this process is to see to: all, or those of its pod.

    Raises:
        InputError: another process writes to the folder, it holds something else, or the bundle, the options or a file
            are others than before.
    """

    def __init__(self, options: BulkOptions, bundle: str, shards: Sequence[Shard]) -> None:
        self.folder, self.entries = options.output_dir, dict[str, Entry]()
        self._options, self._bundle, self._shards = options, bundle, shards
        self._pod, self._held, self._token = options.pod, contextlib.ExitStack(), secrets.token_hex(4)
        self.own = shards if self._pod is None else shards[self._pod :: options.completions]
        self._manifest = self.folder / (MANIFEST_FILE if self._pod is None else f"manifest-{self._pod:06d}.jsonl")

    def __enter__(self) -> Ledger:
        _check_own(self.folder)
        for name in (PARTS, BAD, DRAFTS):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            held.enter_context(_lock(self.folder / LOCK_FILE, shared=self._pod is not None))
            if self._pod is not None:
                held.enter_context(_lock(self.folder / f"{LOCK_FILE}-{self._pod:06d}"))
            self._check_run()
            self._take_stock()
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    @property
    def to_do(self) -> list[Shard]:
        """Those of `own` that are not done."""
        return [shard for shard in self.own if shard.name not in self.entries]

    def draft(self, shard: Shard, number: int = 0) -> Path:
        """The stem of a shard's files while they are written; no other try has it, of this run or of one that was lost
        and may write yet."""
        return self.folder / DRAFTS / f"{shard.file_stem}-{self._token}{number}"

    def commit(self, shard: Shard, part: Part, draft: Path) -> None:
        """Let a shard's drafts become its part; raises OSError where there is no room, and the shard is to do then."""
        source = shard.source
        made_of = (source.name, source.size, source.version, self._bundle, self._options.digest(), shard.file_stem)
        entry = Entry(shard.name, *made_of, *list(asdict(part).values())[1:])
        if part.bad_sha256:
            os.replace(draft.with_suffix(".jsonl"), self.folder / BAD / f"{entry.stem}.jsonl")
            _sync(self.folder / BAD)
        os.replace(draft.with_suffix(".parquet"), self.folder / PARTS / f"{entry.stem}.parquet")
        _sync(self.folder / PARTS)
        _append(self._manifest, f"{json.dumps(asdict(entry), ensure_ascii=False)}\n".encode())
        self.entries[shard.name] = entry

    def close(self, summary: dict[str, Any]) -> None:
        """Put the pods' manifests together, remove what belongs to no line, and write the summary."""
        self._rewrite()
        for manifest in self.folder.glob("manifest-*.jsonl"):
            manifest.unlink()
        self._sweep(self._lying())
        with atomic_writer(self.folder / SUMMARY_FILE) as stream:
            stream.write(f"{json.dumps(summary, ensure_ascii=False, indent=1)}\n".encode())

    def _check_run(self) -> None:
        said = {"format_version": FORMAT_VERSION, "bundle": self._bundle, "options": dict(self._options.answering())}
        said["completions"] = self._options.completions
        said["plan"] = None if self._options.completions is None else _plan_digest(self._shards)
        path = self.folder / RUN_FILE
        with _lock(self.folder / f"{LOCK_FILE}-run", wait=True):  # pods come at the same time
            if not path.exists():
                with atomic_writer(path) as stream:
                    stream.write(f"{json.dumps(said, ensure_ascii=False, indent=1)}\n".encode())
        try:
            before = dict(read_json(path))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}); give another --output_dir") from None
        for name, now in said.items():
            if before.get(name) != now:
                difference = _difference(name, before.get(name), now)
                raise InputError(f"{self.folder} was begun with {difference}; give that, or another --output_dir")

    def _take_stock(self) -> None:
        """Read what is done, and make what is not as if it never had been."""
        known = {shard.name: shard for shard in self._shards}
        entries = list(self._read())
        others = [entry for entry in entries if not _same_source(entry, known)]
        if others and self._options.changed == REFUSE:
            more = f" and {counted(len(others) - 1, 'shard')} more" if len(others) > 1 else ""
            raise InputError(
                f"{others[0].shard}{more}: the file has changed, or is gone, since it was scored; give --changed redo "
                "to do without what it gave, or another --output_dir"
            )
        if others:
            say(f"{counted(len(others), 'shard')} of files that changed, or are gone, left out or done again")
        own = {shard.name for shard in self.own}
        unchanged = [entry for entry in entries if _same_source(entry, known) and entry.shard in own]
        with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
            whole = list(pool.map(self._is_whole, unchanged))
        self.entries = {entry.shard: entry for entry, well in zip(unchanged, whole) if well}
        if broken := [entry.shard for entry, well in zip(unchanged, whole) if not well]:
            say(f"{counted(len(broken), 'part')} changed, cut short or gone, done again: {broken[0]} first")
        if self.to_do or others:  # before anything is removed that they tell of
            for name in (SUMMARY_FILE, DUPLICATES_FILE):
                (self.folder / name).unlink(missing_ok=True)
            _sync(self.folder)
        if not self._options.finish and (self._pod is None or self.to_do):
            self._rewrite()
            self._sweep(self._own_lying())

    def _own_lying(self) -> Iterator[Path]:
        """Files of parts, of bad rows and of drafts that are this process' own, or would be."""
        stems = {shard.file_stem for shard in self.own}
        for path in self._lying():
            if self._pod is None or not {path.stem, path.stem.rpartition("-")[0]}.isdisjoint(stems):
                yield path

    def _is_whole(self, entry: Entry) -> bool:
        if (entry.bundle, entry.options) != (self._bundle, self._options.digest()):
            return False
        files = [(self.folder / PARTS / f"{entry.stem}.parquet", entry.sha256)]
        files += [(self.folder / BAD / f"{entry.stem}.jsonl", entry.bad_sha256)] if entry.bad_sha256 else []
        return all(path.is_file() and sha256_file(path) == sha256 for path, sha256 in files)

    def _read(self) -> Iterator[Entry]:
        """The lines of all manifests; a pod takes its own alone, and those of the output if that was closed."""
        pod = [self.folder / MANIFEST_FILE, self._manifest]
        for path in pod if self._pod is not None else sorted(self.folder.glob("manifest*.jsonl")):
            if not path.exists():
                continue
            for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
                try:
                    entry = from_fields(Entry, parse_json(line))
                except ValueError:
                    say(f"{path}:{number} is cut short or damaged; its shard is done again")
                    continue
                yield entry

    def _rewrite(self) -> None:
        with atomic_writer(self._manifest) as stream:
            for shard in self._shards:
                if entry := self.entries.get(shard.name):
                    stream.write(f"{json.dumps(asdict(entry), ensure_ascii=False)}\n".encode())

    def _lying(self) -> Iterator[Path]:
        for folder in (PARTS, BAD, DRAFTS):
            yield from (self.folder / folder).iterdir()

    def _sweep(self, paths: Iterable[Path]) -> None:
        """Remove those that belong to no line."""
        kept = {self.folder / PARTS / f"{entry.stem}.parquet" for entry in self.entries.values()}
        kept |= {self.folder / BAD / f"{entry.stem}.jsonl" for entry in self.entries.values() if entry.bad_sha256}
        for path in paths:
            if path not in kept and path.is_file():
                path.unlink()


def _check_own(folder: Path) -> None:
    """Raise InputError where a folder holds what this command did not write."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output_dir {folder} is a file; give a folder")
    own = {RUN_FILE, LOCK_FILE, PARTS, BAD, DRAFTS}
    held = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    if RUN_FILE not in held and (others := [name for name in held if name not in own and LOCK_FILE not in name]):
        raise InputError(f"--output_dir {folder} holds {others[0]!r:.60} and is of no run; give a new or an empty one")


@contextlib.contextmanager
def _lock(path: Path, shared: bool = False, wait: bool = False) -> Iterator[None]:
    with open(path, "a+b") as stream:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InputError(
                f"another process writes to {path.parent}, or closes it; wait for that, or give another --output_dir"
            ) from None
        yield


def _append(path: Path, line: bytes) -> None:
    """Add a line for good, or not at all."""
    with open(path, "ab", buffering=0) as stream:
        before = stream.tell()
        try:
            if stream.write(line) < len(line):
                stream.write(line)  # raises what stopped the first one
            os.fsync(stream.fileno())
        except OSError as error:
            error.filename = error.filename or str(path)
            stream.truncate(before)
            raise


def _same_source(entry: Entry, known: dict[str, Shard]) -> bool:
    shard = known.get(entry.shard)
    return shard is not None and (entry.source_size, entry.source_version) == (shard.source.size, shard.source.version)


def _plan_digest(shards: Sequence[Shard]) -> str:
    said = [(shard.name, shard.source.size, shard.source.version) for shard in shards]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "options" and isinstance(before, dict):
        name = next((key for key in now if before.get(key) != now[key]), name)
        before, now = before.get(name), now.get(name)
        return f"--{name} {before}, and now it is {now}"
    if name == "plan":
        return "other input files, or with files that have changed since"
    return f"{name} {before}, and now it is {now}"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
