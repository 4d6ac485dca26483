"""Which servers a command speaks of, where their publications lie, and which running servers follow them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clients.endpoints import addresses, is_name
from pipeline.errors import EnvironmentFault, InputError
from pipeline.local_servers import default_state_dir
from pipeline.options import Options, option
from pipeline.service_messages import HTTP_PORT
from serving.deployment import Deployment
from serving.folders import MODEL_REPOSITORY, PADDLE, SERVERS, TRITON, paddle_folder
from serving.paddle.control import ServiceControl
from serving.paddle.deployment import PaddleDeployment
from serving.process.ports import LOOPBACK, PORT, Ports
from serving.process.record import ProcessRecord
from serving.triton import admin_key
from serving.triton.control import ServerControl
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository


@dataclass(frozen=True)
class PlaceOptions(Options):
    """Both servers or one of them, and where they are."""

    only: str | None = option(None, "server that the command is about (both)", choices=SERVERS)
    model_repository: Path | None = option(None, "the folder that Triton serves (the project's model_repository)")
    paddle_folder: Path | None = option(
        None, "the folder that Paddle Serving serves (build/paddle_serving; with --model_repository DIR: DIR.paddle)"
    )
    server: tuple[str, ...] = option(
        (),
        "Triton: the HTTP address of a server that was not started from here; a name of several addresses is as many "
        "servers",
        metavar="HOST:PORT",
        repeated=True,
    )
    state_dir: Path | None = option(None, "where servers that were started from here are recorded (build/run)")

    def check(self) -> None:
        require_addresses("server", self.server)
        if self.only == PADDLE and self.server:
            raise InputError("--server is for Triton; leave it out with --only paddle")

    @property
    def state(self) -> Path:
        """The folder of records, and of the admin key."""
        return self.state_dir or default_state_dir()

    @cached_property
    def named_servers(self) -> list[str]:
        """The Triton servers that `server` names, as `look_up` found them first."""
        return self.look_up()

    def look_up(self) -> list[str]:
        """The Triton servers that `server` names, each by its own address; a name that is not found stays as it is."""
        return [address for url in self.server for address in (is_name(url) and addresses(url)) or [url]]

    def key(self) -> str:
        """The admin key of Triton servers; none here."""
        return ""

    def probe(self) -> str:
        """What keeps golden texts from being counted; nothing where this user may not read the admin key."""
        with contextlib.suppress(EnvironmentFault):
            return admin_key.probe_secret(admin_key.read(self.state / admin_key.KEY_FILE))
        return ""

    def deployments(self) -> list[Deployment]:
        """What the command speaks of, along with the running servers; raises as `triton` and `paddle` do."""
        return [each for each in (self.triton(), self.paddle()) if self.only in (None, each.key)]

    def triton(self) -> TritonDeployment:
        """Triton's folder, the servers that are named, and those that were started from here on it.

        Raises:
            InputError: the folder is a file.
            EnvironmentFault: the admin key cannot be read.
        """
        repository = ModelRepository(self.model_repository or MODEL_REPOSITORY)
        return TritonDeployment(repository, self.triton_servers(repository, self.named_servers))

    def triton_servers(self, repository: ModelRepository, named: Sequence[str]) -> list[ServerControl]:
        """The servers at those addresses, and those that were started from here on a folder."""
        running = ProcessRecord.running(self.state)
        recorded = {each.http_address: each for each in running if each.model_repository == str(repository.path)}
        asked = list(dict.fromkeys([*named, *recorded]))
        key = self.key() if asked else ""
        probe = "" if key else self.probe()
        metrics = {address: each.metrics_address for address, each in recorded.items()}
        return [
            ServerControl(
                address,
                key,
                probe,
                started_here=address in recorded,
                metrics=metrics.get(address) or self.metrics(address),
            )
            for address in asked
        ]

    def metrics(self, address: str) -> str:
        """Where the server at an HTTP address tells its metrics: two ports above, as `make serve` has it."""
        host, _, port = address.rpartition(":")
        return f"{host}:{min(int(port) + 2, PORT['at_most'])}"

    def paddle(self) -> PaddleDeployment:
        """Paddle Serving's folder, and the services that were started from here on it.

        Raises:
            InputError: the folder is a file.
        """
        repository = (self.model_repository or MODEL_REPOSITORY).resolve()
        path = (self.paddle_folder or paddle_folder(repository)).resolve()
        if repository in (path, *path.parents):
            raise InputError(f"--paddle_folder {path} lies in the model repository, where Triton allows only models")
        records = [each for each in ProcessRecord.running(self.state) if each.paddle_folder == str(path)]
        return PaddleDeployment(path, [ServiceControl(each.http_address, int(each.version), True) for each in records])

    def usual(self) -> list[tuple[Deployment, Any]]:
        """The servers on the usual ports, whoever started them."""
        triton = ServerControl(f"{LOOPBACK}:{Ports().http}", probe=self.probe())
        servers = {TRITON: triton, PADDLE: ServiceControl(f"{LOOPBACK}:{HTTP_PORT}")}
        return [(each, servers[each.key]) for each in self.deployments()]


@dataclass(frozen=True)
class ServerOptions(PlaceOptions):
    """How servers are administered; both servers or one of them, and where they are."""

    key_file: Path | None = option(None, "Triton: the admin key of the servers (admin.key of --state_dir)")

    def key(self) -> str:
        """The admin key; raises EnvironmentFault where it cannot be read."""
        path = self.key_file or self.state / admin_key.KEY_FILE
        return admin_key.read(path) if self.key_file or path.exists() else ""


def require_addresses(name: str, addresses: Sequence[str]) -> None:
    """Raise InputError for an address without a port."""
    for address in addresses:
        port = address.rpartition(":")[2]
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
            raise InputError(f"--{name} is {address!r}; give the HTTP address with its port, such as 127.0.0.1:8000")
