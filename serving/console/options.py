"""What the console is asked by, and who may ask it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from clients.endpoints import DEFAULT_URL
from pipeline.errors import InputError
from pipeline.local_servers import PROJECT, build_dir, default_state_dir
from pipeline.options import Options, option
from serving.console.door import NamedCallers
from serving.folders import MODEL_REPOSITORY
from serving.process.ports import LOOPBACK, PORT

LOOPBACKS = (LOOPBACK, "localhost", "::1")
HEADER = re.compile(r"[A-Za-z0-9-]+")
MOST_KEPT = 100_000
FEWEST_CHARACTERS = 16
"""Of a token."""
USUAL_BUNDLES = (Path("export"), build_dir() / "demo" / "export")
"""Where commands leave a bundle unless told otherwise."""


@dataclass(frozen=True)
class ConsoleOptions(Options):
    """What answers, and who may ask."""

    url: str | None = option(
        None,
        f"gRPC address of the Triton server that answers (that of the one started from here, or {DEFAULT_URL}; where "
        "none runs, a bundle in export or build/demo/export)",
    )
    bundle: Path | None = option(
        None,
        "what answers in this process, instead of a server: a bundle, or the number of a version in --model_repository",
        metavar="BUNDLE|VERSION",
    )
    metrics_address: str | None = option(
        None, "address of the metrics of that server (its host, the port after the gRPC one)", metavar="HOST:PORT"
    )
    compare: str | None = option(
        None,
        "what answers beside it: a bundle, the gRPC address of a Triton server, or the number of a version in "
        "--model_repository",
        metavar="BUNDLE|HOST:PORT|VERSION",
    )
    model_repository: Path | None = option(None, "where versions are published (the project's model_repository)")
    host: str = option(LOOPBACK, "address to listen on; beyond this machine it needs --token_file")
    port: int = option(8080, "port of the page", **PORT)
    feedback_file: Path = option("feedback.jsonl", "what people say of answers is added to this file, texts included")
    keep_texts: Path | None = option(
        None, "a sample of the texts that programs send is kept in this file, and shown on the page (none is kept)"
    )
    keep_most: int = option(1000, "texts of that sample", at_least=1, at_most=MOST_KEPT)
    token_file: Path | None = option(None, "file with the token that callers must show")
    allowed_host: tuple[str, ...] = option(
        (), "a further name that the console is asked by, with its port if it has one", repeated=True
    )

    user_header: str | None = option(
        None, "header in which a proxy says who asks; corrections are then kept by that name, and by no other"
    )
    trusted_proxy: tuple[str, ...] = option(
        (), "address that this proxy asks from; the header of anybody else is refused", repeated=True
    )
    state_dir: Path | None = option(None, "where the console is recorded, for `make stop` (build/run)")

    def check(self) -> None:
        super().check()
        if self.metrics_address and not self.metrics_address.rpartition(":")[2].isdecimal():
            raise InputError(f"--metrics_address is {self.metrics_address!r}; give a host and a port: 127.0.0.1:8002")
        if bool(self.user_header) != bool(self.trusted_proxy):
            raise InputError("--user_header names a header that --trusted_proxy, an address, may set; give both")
        if self.user_header and not HEADER.fullmatch(self.user_header):
            raise InputError(f"--user_header is {self.user_header!r}; give the name of a header, such as X-Remote-User")
        for address in self.trusted_proxy:
            try:
                ip_address(address)
            except ValueError:
                raise InputError(f"--trusted_proxy is {address!r}; give an IP address, such as 127.0.0.1") from None
        if self.url and self.bundle:
            raise InputError("give --url or --bundle, not both")
        if self.host not in LOOPBACKS and not self.token_file:
            raise InputError(
                f"--host {self.host} lets others ask; give --token_file, a file with a token of "
                f"{FEWEST_CHARACTERS} characters or more (such as {secrets.token_hex(16)}), or listen on {LOOPBACK}"
            )

    def token(self) -> str:
        """What callers must show; empty where nobody must. Raises InputError where the file holds none."""
        if not self.token_file:
            return ""
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise InputError(f"--token_file {self.token_file} cannot be read: {error}") from None
        if len(token) < FEWEST_CHARACTERS or not token.replace("-", "").replace("_", "").isalnum():
            raise InputError(
                f"--token_file {self.token_file} holds no token: one word of {FEWEST_CHARACTERS} or more letters, "
                "digits, - and _"
            )
        return token

    @property
    def repository(self) -> Path:
        """The folder of published versions."""
        return self.model_repository or MODEL_REPOSITORY

    @property
    def state(self) -> Path:
        """The folder of records."""
        return self.state_dir or default_state_dir()

    def callers(self) -> NamedCallers | None:
        """What reads who sends a request; None where nobody tells."""
        return NamedCallers(self.user_header, self.trusted_proxy) if self.user_header else None

    def names(self) -> list[str]:
        """The names that the console is asked by, as browsers write them."""
        own = [f"[{name}]" if ":" in name else name for name in dict.fromkeys((*LOOPBACKS, self.host))]
        return [f"{name}:{self.port}" for name in own] + own * (self.port == 80) + list(self.allowed_host)

    def usual_bundle(self) -> Path | None:
        """The bundle to take where no server runs and none was named."""
        return next((path for path in (PROJECT / USUAL_BUNDLES[0], USUAL_BUNDLES[1]) if path.is_dir()), None)
