"""Which server a command asks where none is named: one that was started from here."""

from __future__ import annotations

from pipeline.errors import InputError
from pipeline.local_servers import PROJECT, StartedServer, default_state_dir, is_checkout


def choose(kind: str, place: str, usual: str) -> tuple[str, str]:
    """The address of the server to ask, and what is to be said of it.

    Args:
        kind: of the server, as the notes of running ones are named.
        place: the field of such a note that has the address.
        usual: the address where none was started from here.

    Raises:
        InputError: several were started from here, at other addresses.
        EnvironmentFault: the note of one is damaged.
    """
    if not is_checkout():
        return usual, ""
    noted = (getattr(note, place) for note in StartedServer.running(default_state_dir(), kind))
    started = list(filter(None, noted))
    if len(started) > 1 and usual not in started:
        raise InputError(f"several servers were started from {PROJECT}: {', '.join(started)}; choose one by --url")
    if not started:
        return usual, f", not started from {PROJECT}"
    return (usual if usual in started else started[0]), f", started from {PROJECT}"
