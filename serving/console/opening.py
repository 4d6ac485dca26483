"""Finding what answers: a server, a bundle, or a version that was published."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from clients.chosen import choose
from clients.endpoints import DEFAULT_URL
from pipeline.errors import InputError, ServerError
from serving.console.answering import Answering, FromBundle, FromTriton
from serving.console.options import ConsoleOptions
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository


def open_answering(options: ConsoleOptions) -> Answering:
    """What answers: what was named, else the server that runs, else a bundle where commands leave one.

    Raises:
        ServerError: none of them is there.
        InputError, EnvironmentFault, BundleError: the bundle cannot be loaded.
    """
    if options.bundle is not None:
        return _in_process(str(options.bundle), options) or FromBundle(options.bundle)
    triton = FromTriton(options.url or choose("triton", "client_address", DEFAULT_URL)[0], options.metrics_address)
    try:
        triton.describe()
        return triton
    except ServerError as error:
        triton.close()
        bundle = None if options.url else options.usual_bundle()
        if bundle is None:
            mend = "start a server (make serve), or name a bundle (make console BUNDLE=export)"
            raise ServerError(f"{error}; {mend}") from None
    print(f"note: no server runs; {bundle} answers in this process", file=sys.stderr)
    return FromBundle(bundle)


def open_compared(options: ConsoleOptions) -> Answering | None:
    """What answers beside it; None where nothing was asked for.

    Raises:
        ServerError: the server does not answer.
        InputError, EnvironmentFault, BundleError: it is no bundle, no address and no version, or cannot be loaded.
    """
    named = options.compare
    if named is None:
        return None
    if in_process := _in_process(named, options):
        return in_process
    if not named.rpartition(":")[2].isdecimal():
        raise InputError(f"--compare {named} is no folder, no address with a port, and no number of a version")
    triton = FromTriton(named)
    triton.describe()
    return triton


def _in_process(named: str, options: ConsoleOptions) -> FromBundle | None:
    """A bundle's folder, or the version of that number; None where it names neither."""
    if Path(named).is_dir():
        return FromBundle(Path(named))
    return _published(ModelRepository(options.repository), int(named)) if named.isdecimal() else None


def _published(repository: ModelRepository, number: int) -> FromBundle:
    version = repository.version(number)
    with tempfile.TemporaryDirectory(prefix="compared") as folder:
        bundle = TritonDeployment(repository).bundle(version, Path(folder))
        return FromBundle(bundle.path, f"version {number} of {repository.path.name}", version.bundle)
