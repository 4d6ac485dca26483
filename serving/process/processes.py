"""What Linux's /proc tells about processes and about the TCP ports that they listen on."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from pipeline.local_servers import stat_fields

LISTEN = "0A"  # the state column of /proc/net/tcp


def command_line(pid: int) -> list[str]:
    """The words that started process `pid`; empty where it ended or may not be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []
    return [word.decode(errors="replace") for word in words]


def blot_out(pid: int, secret: str) -> bool:
    """Overwrite a secret in the command line of process `pid`, a descendant, which has read it; False if forbidden."""
    try:
        fields = stat_fields(pid)
        start, end = int(fields[45]), int(fields[46])  # arg_start, arg_end
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            words = memory.read(end - start)
            memory.seek(start)
            memory.write(words.replace(secret.encode(), b"*" * len(secret.encode())))
    except OSError:
        return False
    return True


def describe(pid: int) -> str:
    """`process 1234 (python3 -m http.server 8000)`, for messages."""
    words = " ".join(command_line(pid))
    short = words if len(words) <= 80 else words[:77] + "..."
    return f"process {pid} ({short})" if short else f"process {pid}"


def children(pid: int) -> list[int]:
    """The direct children of process `pid`."""
    found = []
    for child in _all_pids():
        with contextlib.suppress(OSError):
            if int(stat_fields(child)[1]) == pid:
                found.append(child)
    return found


def descendants(pid: int) -> list[int]:
    """The children of process `pid`, theirs, and so on."""
    children_of: dict[int, list[int]] = {}
    for child in _all_pids():
        with contextlib.suppress(OSError):
            children_of.setdefault(int(stat_fields(child)[1]), []).append(child)
    found, waiting = [], [pid]
    while waiting:
        found += (below := children_of.get(waiting.pop(), []))
        waiting += below
    return found


def kill_with_descendants(pid: int) -> None:
    """Kill a process and all below it, halted ones too."""
    for each in [pid, *descendants(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def processor_seconds(pid: int) -> float:
    """Processor time that process `pid` and those below it, as far as they run, have used."""
    ticks = 0
    for each in [pid, *descendants(pid)]:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, stat_fields(each)[11:13]))  # in user and in system mode
    return ticks / os.sysconf("SC_CLK_TCK")


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that process `pid` itself listens on, on any address."""
    port_of_inode = _listening_sockets()
    return {port_of_inode[inode] for inode in _socket_inodes(pid) & port_of_inode.keys()}


def listener(port: int) -> int | None:
    """The process that listens on TCP `port`; None where there is none or where it is another user's."""
    wanted = {inode for inode, number in _listening_sockets().items() if number == port}
    return next((pid for pid in _all_pids() if wanted & _socket_inodes(pid)), None) if wanted else None


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _listening_sockets() -> dict[str, int]:
    """Port of each listening TCP socket, by the socket's inode."""
    ports = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                _, local_address, _, state, *rest = line.split()
                if state == LISTEN:
                    ports[rest[5]] = int(local_address.rpartition(":")[2], 16)
    return ports


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    inodes.add(target[len("socket:[") : -1])
    return inodes
