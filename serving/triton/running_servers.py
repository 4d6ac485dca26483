"""Which running servers follow a model repository: options of the commands that publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.errors import InputError
from serving.folders import MODEL_REPOSITORY, default_state_dir
from serving.process.record import SUFFIX, read
from serving.triton import admin_key
from serving.triton.control import ServerControl
from serving.triton.repository import ModelRepository


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """--model_repository, and how to find the servers that run from it."""
    add = parser.add_argument
    add("--model_repository", default=str(MODEL_REPOSITORY), help="the folder that servers serve (%(default)s)")
    add("--server", action="append", default=[], metavar="HOST:PORT", help="a server's HTTP address; repeatable")
    add("--key_file", type=Path, help="the admin key of the servers named by --server (admin.key of --state_dir)")
    add("--state_dir", type=Path, default=default_state_dir(), help="where servers were recorded (%(default)s)")


def repository_of(args: argparse.Namespace) -> ModelRepository:
    """The repository that --model_repository names."""
    return ModelRepository(args.model_repository)


def find_servers(args: argparse.Namespace) -> list[ServerControl]:
    """The servers named by --server, and those recorded in --state_dir that serve --model_repository.

    Raises:
        InputError: a server is named without a port.
        EnvironmentFault: the key cannot be read.
    """
    for address in args.server:
        if not address.rpartition(":")[2].isdigit():
            raise InputError(f"--server {address!r} has no port; give the HTTP address, such as 127.0.0.1:8000")
    path = str(repository_of(args).path)
    records = filter(None, map(read, sorted(args.state_dir.glob(f"*{SUFFIX}"))))
    recorded = [record.http_address for record in records if record.model_repository == path and record.is_running()]
    addresses = list(dict.fromkeys([*args.server, *recorded]))
    if not addresses:
        return []
    key_file = args.key_file or args.state_dir / admin_key.KEY_FILE
    key = admin_key.read(key_file) if key_file.exists() else ""
    return [ServerControl(address, key) for address in addresses]
