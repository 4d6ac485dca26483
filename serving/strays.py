"""Servers that answer by another version than the live one, as a publisher that was killed leaves them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.deployment import Deployment


def told(deployment: Deployment) -> Iterator[str]:
    """Lines that say which servers answer by another version, and what mends it."""
    strays = deployment.strays()
    for server, version in strays.items():
        live = deployment.require_live().number
        yield f"mixed: {server.address} answers by version {version.number}, and version {live} is live"
    if strays:
        yield "the next publish lets all answer by one version again; rollback does, too"


def mend(deployments: Iterable[Deployment]) -> dict[Deployment, bool]:
    """Let all servers answer by the live version; says on standard error what was otherwise.

    Returns:
        Per deployment where one was: whether it answered by a later version, one that was never live in all of them.

    Raises:
        ServerError: a server does not change over.
    """
    mended: dict[Deployment, bool] = {}
    for each in deployments:
        for server, version in each.mend().items():
            live = each.require_live().number
            said = f"{server.address} answered by version {version.number}, which is not the live one"
            print(f"note: {said}; it answers by version {live} again", file=sys.stderr)
            mended[each] = mended.get(each, False) or version.number > live
    return mended
