"""The files that are scored: found, told apart, and opened, on this machine or anywhere that fsspec reaches."""

from __future__ import annotations

import contextlib
import glob
import gzip
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import aiohttp
import pyarrow as pa
from fsspec.asyn import sync
from fsspec.core import url_to_fs
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import EnvironmentFault, InputError
from pipeline.option_values import AUTO
from pipeline.output import counted
from serving.bulk.local_files import files_below, matching, say, state
from serving.bulk.options import CSV, FORMATS, JSON_LINES, PARQUET, TEXTS, BulkOptions

SUFFIXES = {".parquet": PARQUET, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES, ".csv": CSV, ".txt": TEXTS}
GZIP, ZSTD = "gzip", "zstd"
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
COMPRESSIONS = {".gz": GZIP, ".zst": ZSTD}
VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "Content-MD5", "md5Hash", "CRC")
"""What file systems tell of a file that changes with its content; the first that there is counts."""
BUFFER_BYTES = 1 << 20


class SourceError(InputError):
    """A file, or a shard of it, cannot be read."""


@dataclass(frozen=True)
class Source:
    """A file.

    Attributes:
        name: its path below the folder, or the fixed part of the pattern, that was given; ids are made of it.
        url: what opens it.
        size: bytes.
        version: what else tells that it is unchanged: time or checksum; empty where nothing is told.
        format, compression: a name of FORMATS, and GZIP, ZSTD or empty.
    """

    name: str
    url: str
    size: int
    version: str
    format: str
    compression: str = ""

    @property
    def local(self) -> bool:
        return "://" not in self.url

    def check_unchanged(self) -> None:
        """Raise SourceError where it is not what it was when it was found."""
        try:
            now = state(self.url) if self.local else _remote_state(*url_to_fs(self.url))
        except (OSError, aiohttp.ClientError) as error:
            raise SourceError(f"{self.name} is gone: {error}") from error
        if now != (self.size, self.version):
            raise SourceError(f"{self.name} changed while it was read; score it when nothing writes to it")


@dataclass
class Meter:
    """Tells how much of a file was read.

    Attributes:
        raw: the file as it lies, once it is opened.
    """

    raw: Any = None

    @property
    def bytes(self) -> int:
        return self.raw.tell()


@contextlib.contextmanager
def opened(source: Source, meter: Meter | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a source, decompressed; raises OSError, EOFError or zlib.error where they cannot be had."""
    with contextlib.ExitStack() as stack:
        if source.local:
            raw: Any = stack.enter_context(open(source.url, "rb"))
        else:
            filesystem, path = url_to_fs(source.url)
            raw = stack.enter_context(filesystem.open(path, "rb"))
        if meter:
            meter.raw = raw
        if source.compression == GZIP:
            raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
        elif source.compression == ZSTD:
            raw = stack.enter_context(pa.CompressedInputStream(raw, "zstd"))
        if source.format == PARQUET or isinstance(raw, io.BufferedReader):
            yield raw
        else:
            yield stack.enter_context(io.BufferedReader(raw, BUFFER_BYTES))


def find_sources(options: BulkOptions) -> list[Source]:
    """The files that `--input` names, sorted by name.

    Raises:
        InputError: there are none, one is named twice, two have one name, one has no known form, or the output lies
            among them.
        EnvironmentFault: a package is missing that opens a URL.
    """
    found: dict[str, Source] = {}
    urls: set[str] = set()
    for given in options.input:
        for source in _found(given, options):
            if source.local:
                _check_apart(Path(source.url), options.output_dir, given)
            if source.url in urls and source.name not in found:
                raise InputError(f"--input names {source.url} twice; give each file once")
            urls.add(source.url)
            if other := found.get(source.name):
                two = f"{source.url} and {other.url}" if source.url != other.url else f"{source.url}, twice,"
                raise InputError(f"--input names {two} as {source.name}; give each file once, or a folder above both")
            found[source.name] = source
    if not found:
        raise InputError(f"--input {' '.join(options.input)} names no file; give files, folders or patterns")
    if silent := [source.name for source in found.values() if not source.version]:
        say(
            f"{counted(len(silent), 'file')}, such as {silent[0]}, with neither time nor ETag: "
            "of changes, only other sizes are seen"
        )
    return [found[name] for name in sorted(found)]


def _found(given: str, options: BulkOptions) -> Iterator[Source]:
    filesystem, path = _filesystem(given)
    chain = given.partition("::")[2]
    try:
        if isinstance(filesystem, LocalFileSystem) and given.startswith("~"):
            path = os.path.expanduser(given)
        local = isinstance(filesystem, LocalFileSystem)
        if filesystem.isdir(path):
            root, folder = path, True
            listed = dict.fromkeys(files_below(path)) if local else filesystem.find(path, detail=True)
        elif glob.has_magic(path) and not filesystem.exists(path):
            root, folder = _fixed(path), False
            if local:
                listed = dict.fromkeys(matching(path, root or "/"))
            else:
                listed = {name: info for name, info in filesystem.glob(path, detail=True).items() if _is_file(info)}
        else:
            root, listed, folder = path.rpartition("/")[0], {path: None if local else filesystem.info(path)}, False
    except (OSError, NotImplementedError, ValueError, aiohttp.ClientError) as error:
        raise InputError(f"--input {given} cannot be read: {error}") from error
    if folder and isinstance(filesystem, LocalFileSystem):
        _check_apart(options.output_dir, Path(path), given)
    yield from _sources(filesystem, chain, root, listed, folder, options.format)


def _sources(
    filesystem: Any, chain: str, root: str, listed: Mapping[str, Any], folder: bool, asked: str
) -> Iterator[Source]:
    passed_over = []
    for path, info in listed.items():
        name = _name(path, root)
        if folder and any(part.startswith((".", "_")) for part in PurePosixPath(name).parts):
            continue
        suffixes = PurePosixPath(urlsplit(path).path if "://" in path else path).suffixes
        compression = COMPRESSIONS.get(suffixes[-1].lower() if suffixes else "", "")
        suffix = (suffixes[:-1] if compression else suffixes)[-1:]
        format = asked if asked != AUTO else SUFFIXES.get("".join(suffix).lower(), "")
        if not format and folder:
            passed_over.append(name)
            continue
        if not format and "".join(suffix).lower() in WORKBOOKS:
            raise InputError(f"{name}: workbooks are not read; save the sheet as CSV in UTF-8, and give that")
        if not format:
            raise InputError(f"{name}: the form cannot be told by the name; say it by --format ({', '.join(FORMATS)})")
        if format == PARQUET and compression:
            raise InputError(f"{name}: Parquet compresses within; decompress the file")
        if not _encodable(name):
            raise InputError(f"the name of the file {name!a} is not UTF-8; rename it")
        try:
            size, version = state(path) if info is None else _remote_state(filesystem, path, info)
        except (OSError, aiohttp.ClientError) as error:
            hint = "; is it a link to a file that is gone?" if info is None else ""
            raise InputError(f"{name} cannot be read: {error}{hint}") from error
        if size is None:
            raise InputError(f"{name}: the server does not tell how large the file is; fetch it first")
        yield Source(name, _url(filesystem, path, chain), size, version, format, compression)
    if passed_over:
        say(f"{counted(len(passed_over), 'file')} of no known form passed over, such as {passed_over[0]}")


def _filesystem(given: str) -> tuple[Any, str]:
    here = os.path.abspath(os.path.expanduser(given))
    if "::" in given and (os.path.lexists(here) or ("::" in _fixed(here) and os.path.isdir(_fixed(here)))):
        return LocalFileSystem(), here  # no chain of file systems, though it could be read as one
    try:
        return url_to_fs(given)
    except ImportError as error:
        raise EnvironmentFault(f"--input {given}: {error}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"--input {given} cannot be opened: {error}") from error


def _url(filesystem: Any, path: str, chain: str) -> str:
    if isinstance(filesystem, LocalFileSystem):
        return path
    protocol = filesystem.protocol if isinstance(filesystem.protocol, str) else filesystem.protocol[0]
    return f"{protocol}://{path}::{chain}" if chain else filesystem.unstrip_protocol(path)


def _name(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/") if root not in ("", ".") and path.startswith(root) else path.lstrip("/")


def _fixed(pattern: str) -> str:
    """The folder above the first part of a path that is a pattern."""
    parts: Iterable[str] = pattern.split("/")[:-1]
    kept = []
    for part in parts:
        if glob.has_magic(part):
            break
        kept.append(part)
    return "/".join(kept)


def _is_file(info: Mapping[str, Any]) -> bool:
    return info.get("type") != "directory"


def _remote_state(filesystem: Any, path: str, info: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Size and version of a file."""
    told = filesystem.info(path) if info is None else info
    version = next((str(told[name]) for name in VERSIONS if told.get(name) is not None), "")
    if not version and isinstance(filesystem, HTTPFileSystem):
        version = sync(filesystem.loop, _last_modified, filesystem, path)
    return told.get("size"), version


async def _last_modified(filesystem: HTTPFileSystem, url: str) -> str:
    """The time of the last change, which fsspec does not hand on; empty where the server does not tell it."""
    session = await filesystem.set_session()
    async with session.head(filesystem.encode_url(url), allow_redirects=True, **filesystem.kwargs) as answer:
        return answer.headers.get("Last-Modified", "") if answer.ok else ""


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_apart(inner: Path, outer: Path, given: str) -> None:
    """Raise InputError where answers would be read as texts, now or when the run goes on."""
    if inner.resolve().is_relative_to(outer.resolve()):
        raise InputError(
            f"--output_dir and --input {given} overlap: answers would be read as texts; give another --output_dir"
        )
