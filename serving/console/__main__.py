"""Show a page to try the model in, and answer programs over REST.

    python -m serving.console                        asks the Triton server that runs, else a bundle in this process
    python -m serving.console --bundle export        needs no server
    python -m serving.console --compare 2            shows beside it what version 2 of model_repository answers
    python -m serving.console --bundle 1 --compare 2 the same of two versions, whichever is live
    python -m serving.console --keep_texts kept.jsonl  keeps a sample of the texts that programs send
    python -m serving.console --host 0.0.0.0 --token_file token.txt --allowed_host models.example.com

The page stands at http://127.0.0.1:8080; what programs may ask, at /openapi.json.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.command import run
from pipeline.errors import EnvironmentFault
from pipeline.files.feedback import FeedbackFile
from pipeline.options import parse
from serving.console.door import Door
from serving.console.kept import KeptTexts
from serving.console.opening import open_answering, open_compared
from serving.console.options import ConsoleOptions
from serving.console.page import console_page, page_headers
from serving.folders import CONSOLE
from serving.process.foreground import hold
from serving.process.ports import LOOPBACK
from serving.process.record import ProcessRecord
from serving.triton.repository import ModelRepository

GRACE_SECONDS = 5


def serve(options: ConsoleOptions) -> None:
    """Serve the console until it is told to stop.

    Raises:
        InputError, BundleError: an option, or the bundle, cannot be used.
        ServerError: neither a server nor a bundle is there to answer.
        EnvironmentFault: the port is taken, or this is not the console's environment.
    """
    try:
        import uvicorn
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        from serving.console.app import create_app
        from serving.console.connections import BoundedProtocol
    except ModuleNotFoundError as error:
        raise EnvironmentFault(f"{error.name} is not installed here; start the console by `make console`") from None
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    token, feedback = options.token(), FeedbackFile(options.feedback_file)
    kept = KeptTexts(options.keep_texts, options.keep_most) if options.keep_texts else None
    with contextlib.ExitStack() as opened:
        answering = opened.enter_context(contextlib.closing(open_answering(options)))
        if compared := open_compared(options):
            opened.enter_context(contextlib.closing(compared))
        described, callers = answering.describe(), options.callers()
        repository = ModelRepository(options.repository)
        door: Door
        told = lambda shown: bool(token) and door.is_token(shown)  # noqa: E731
        app: Any = create_app(
            answering, console_page(), told, feedback, callers is not None, repository, compared, kept
        )
        behind: Any = ProxyHeadersMiddleware(app, list(options.trusted_proxy) or LOOPBACK)
        door = Door(behind, options.names(), token, page_headers(), callers)
        config = uvicorn.Config(
            *(door, options.host, options.port),
            access_log=False,
            lifespan="off",
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # the door has to see who is connected: what they say counts behind it
            http=BoundedProtocol,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        listening = _bound(options.host, options.port)
        host = f"[{options.host}]" if ":" in options.host else options.host
        address = f"{host}:{options.port}"
        beside = f", beside {compared.describe()}" if compared else ""
        keeping = f"; texts that programs send are kept in {kept.path}" if kept else ""

        def run_server() -> None:
            print(f"console on http://{address}, answered by {described}{beside}{keeping}", flush=True)
            uvicorn.Server(config).run(sockets=[listening])

        hold(_recorded(options, address), run_server)
    print("console stopped")


@contextlib.contextmanager
def _recorded(options: ConsoleOptions, address: str) -> Iterator[None]:
    """Let `python -m serving.stop` find the console meanwhile."""
    name = f"{CONSOLE}-{options.port}"
    record = ProcessRecord.of(name, os.getpid(), 2 * GRACE_SECONDS, http_address=address)
    record.write(options.state)
    try:
        yield
    finally:
        record.remove(options.state)


def _bound(host: str, port: int) -> socket.socket:
    """The socket to listen on; raises EnvironmentFault where it cannot be had."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except OSError as error:
        raise EnvironmentFault(
            f"port {port} of {host} cannot be listened on ({error.strerror}); choose another by --port, or by "
            "CONSOLE_PORT with make"
        ) from None


def parse_args(argv: Sequence[str] | None) -> ConsoleOptions:
    return parse(ConsoleOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    serve(parse_args(argv))


if __name__ == "__main__":
    run(main)
