"""Folders that know their files: SHA256SUMS lists each with its checksum, in the format of `sha256sum --check`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import BundleError, InputError

CHECKSUM_FILE = "SHA256SUMS"
MOST_BYTES = 1 << 20
"""Of the list."""


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """List the named files of `folder` in its SHA256SUMS."""
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUM_FILE).write_text("".join(lines), encoding="utf-8")


def write_all_checksums(folder: Path) -> None:
    """List every file of `folder` in its SHA256SUMS."""
    write_checksums(folder, sorted(file.name for file in folder.iterdir() if file.name != CHECKSUM_FILE))


def read_checksums(folder: Path) -> dict[str, str]:
    """Checksum by file name.

    Raises:
        BundleError: the list is missing or damaged.
    """
    try:
        with open(folder / CHECKSUM_FILE, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"{folder} has no {CHECKSUM_FILE}: it is no folder that this software wrote") from None
    except UnicodeDecodeError as error:
        raise BundleError(f"{folder / CHECKSUM_FILE} is damaged ({error}); copy the folder again") from error
    if len(content) > MOST_BYTES:
        raise BundleError(f"{folder / CHECKSUM_FILE} is larger than {MOST_BYTES:,} bytes; copy the folder again")
    sums = {}
    for number, line in enumerate(lines, start=1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64 or not name or "/" in name or name in (".", ".."):
            raise BundleError(f"{folder / CHECKSUM_FILE}:{number}: the line is damaged; copy the folder again")
        sums[name] = digest
    return sums


def verify_file(folder: Path, name: str, sums: Mapping[str, str]) -> None:
    """Raise BundleError unless `folder` holds the file as `sums` lists it."""
    path = folder / name
    if name not in sums:
        raise BundleError(f"{folder / CHECKSUM_FILE} lists no {name}; copy the folder again")
    if not path.is_file():
        raise BundleError(f"{path} is missing; copy the folder again")
    if sha256_file(path) != sums[name]:
        raise BundleError(f"{path} is damaged: its checksum differs from {CHECKSUM_FILE}; copy the folder again")


def verify_folder(folder: Path) -> None:
    """Raise BundleError unless a folder has its SHA256SUMS, and every file as it lists it."""
    sums = read_checksums(folder)
    for name in sums:
        verify_file(folder, name, sums)


def check_replaceable(folder: Path, option: str, kind: str, *, spared: str = "", inputs: Iterable[Path] = ()) -> None:
    """Accept a folder that writing may replace: absent, empty, or of the kind that is written, and nothing more.

    Args:
        folder: it may hold no file but those that its SHA256SUMS lists.
        option: what named it, for the message.
        kind: the file without which a folder is of another kind.
        spared: the file with which it is more than what is written.
        inputs: folders that are read meanwhile.

    Raises:
        InputError: it is a file or a link that leads nowhere, is read, is of another kind, or holds what this software
            did not write.
    """
    check_link(folder, option)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give {option} a new or an empty folder")
    if folder.resolve() in {path.resolve() for path in inputs}:
        raise InputError(f"{folder} is read, so that it cannot be replaced; give {option} another folder")
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return
    known = {CHECKSUM_FILE, *read_checksums(folder)} if CHECKSUM_FILE in names else set()
    lost = sorted(names - known) or ([] if kind in names else sorted(names))
    if lost or spared in names:
        first = lost[0] if lost else spared
        raise InputError(f"{folder} holds {first!r}, which would be lost; give {option} a new or an empty folder")


def check_link(path: Path, option: str) -> None:
    """Raise InputError where `path`, which `option` names, is a link that leads nowhere: its disk may be missing."""
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{option} {path} is a link to {os.readlink(path)}, which is not there; make it, or remove the link"
        )


def sha256_file(path: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
