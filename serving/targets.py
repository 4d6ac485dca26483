"""Which version of each server a rollback goes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.errors import BundleError, InputError
from serving.published import PublishedVersion

if TYPE_CHECKING:
    from serving.deployment import Deployment


def number_beside(live: Mapping[Deployment, PublishedVersion], forward: bool) -> int:
    """The number beside the live ones."""
    numbers = {version.number for each in live for version in each.versions()}
    newest = max(version.number for version in live.values())
    beside = [number for number in numbers if (number > newest if forward else number < newest)]
    if not beside:
        where, way = ("after", "forward") if forward else ("before", "back")
        paths = " and ".join(str(each.path) for each in live)
        raise InputError(f"there is no version {where} {newest} in {paths} to go {way} to")
    return min(beside) if forward else max(beside)


def choose_targets(live: Mapping[Deployment, PublishedVersion], number: int) -> dict[Deployment, PublishedVersion]:
    """Per deployment, of which the live version is given, the version to go back to."""
    held = {each: each.versions() for each in live}
    paths = " and ".join(str(each.path) for each in live)
    numbers = sorted({version.number for versions in held.values() for version in versions})
    named = {each: version for each, versions in held.items() for version in versions if version.number == number}
    bundles = {version.bundle for version in named.values()}
    for each in live:
        if reason := each.damaged().get(number):
            raise BundleError(f"{each.server}: {reason}")
    if not bundles:
        there = ", ".join(map(str, numbers)) or "none"
        raise InputError(f"there is no version {number} in {paths}; versions there: {there}")
    if len(bundles) > 1:
        which = " and ".join(f"bundle {version.bundle} in {each.server}" for each, version in named.items())
        raise InputError(f"version {number} is {which}; choose one by --only")
    (bundle,) = bundles
    chosen = {}
    for each, versions in held.items():
        same = [version for version in versions if version.bundle == bundle]
        if not same:
            raise InputError(
                f"{each.server} holds no version of bundle {bundle}, which is version {number} of the other server; "
                f"--only {next(iter(named)).key} leaves {each.server} as it is"
            )
        served = live[each]
        chosen[each] = named.get(each) or (served if served in same else same[-1])
    return chosen
