"""The key that callers of a server's administrative services must show, and where it is kept.

Loading models, shared memory, tracing and logging are for the operator alone: whoever may load a model may run code.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from pipeline.errors import EnvironmentFault

KEY_FILE = "admin.key"
HTTP_HEADER = "admin-key"
GRPC_HEADER = f"triton-grpc-protocol-{HTTP_HEADER}"
RESTRICTED = "model-repository,shared-memory,trace,logging"


def read_or_create(state_dir: Path) -> str:
    """The key in `state_dir`, made at the first call, readable by this user alone.

    Raises:
        EnvironmentFault: others may read it.
    """
    write_if_absent(state_dir, secrets.token_hex(32))
    return read(state_dir / KEY_FILE)


def write_if_absent(state_dir: Path, key: str) -> None:
    """Keep a key in `state_dir`, unless one is there."""
    state_dir.mkdir(parents=True, exist_ok=True)
    # A temporary file is private from the start, and linking it fails where there is a key, which is then the one.
    with tempfile.NamedTemporaryFile("w", dir=state_dir, prefix=f".{KEY_FILE}.") as draft:
        draft.write(key)
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, state_dir / KEY_FILE)


def read(path: Path) -> str:
    """The key in a file.

    Raises:
        EnvironmentFault: it cannot be read, is empty, or others than its owner may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise EnvironmentFault(f"{path} can be read by others than its owner: chmod 600 {path}, or remove it")
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"the key in {path} cannot be read: {error}") from None
    if not key:
        raise EnvironmentFault(f"{path} is empty; remove it, and the next start of the server makes a new one")
    return key


def probe_secret(key: str) -> str:
    """What golden texts bear so that they are not counted; it opens nothing, so it may travel where the key may not."""
    return hmac.new(key.encode(), b"probe", "sha256").hexdigest() if key else ""


def server_arguments(key: str) -> list[str]:
    """tritonserver's arguments that ask for the key."""
    rule = f"{RESTRICTED}:{HTTP_HEADER}={key}"
    return [f"--grpc-restricted-protocol={rule}", f"--http-restricted-api={rule}"]
