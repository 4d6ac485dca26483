"""A small process between a launcher and its tritonserver, so that no way out leaves a server behind.

It runs tritonserver as its child and ends it when it is told to (SIGTERM, SIGINT, SIGHUP) or when the launcher
is gone, by whatever death, SIGKILL included: then its own parent has changed. tritonserver gets SIGTERM, finishes
the requests that it accepted, and gets SIGKILL if it outlives the grace period or the guard is told a second
time. Whatever the server leaves behind (Python-backend processes, shared memory) the guard clears away; as a
"child subreaper" it inherits orphans at any depth, also those that left the process group. If the guard itself
is killed, the kernel kills tritonserver (PR_SET_PDEATHSIG), whose Python processes end when they notice.

What the server and its children print goes through a pipe to the log, whose size is bounded, and which may be moved
or deleted meanwhile.

Run by path with `python -I -S`, so it imports the standard library alone and starts in some 20 ms. It writes the
server's process id to standard output, and once it is told to stop, that it is; it takes the server's exit status, or
0 where it was told to stop.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import resource
import signal
import sys
import threading
import time
from typing import BinaryIO

SHARED_MEMORY_PREFIX = "text_classifier_"
KEY_VARIABLE, KEY_PLACE = "TEXT_CLASSIFIER_ADMIN_KEY", "@ADMIN_KEY@"
"""A secret that the server's command needs: handed to this process by its environment, for its own is public."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
TOLD = b"told to stop\n"
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_SECONDS = 0.5
EXEC_FAILED = 127
LOG_BYTES = 32 << 20
"""At this size a log is put aside, with `.1` added to its name, and another is begun."""
PIECE_BYTES = 1 << 16
LAST_WORDS_SECONDS = 2.0
HOPELESS_SECONDS = 3.0
"""That a server has to end which has not noticed that a child of its own has ended: it would wait for that in vain."""
MOST_FILES = 1 << 20


def main(argv: list[str]) -> int:
    """Arguments: the launcher's process id, grace in seconds, shared-memory prefix, log, then the server's command."""
    launcher, grace_seconds, prefix, log, command = int(argv[0]), float(argv[1]), argv[2], argv[3], argv[4:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    key = os.environ.pop(KEY_VARIABLE, "")
    reading, writing = os.pipe()
    server = start_server(libc, [word.replace(KEY_PLACE, key) for word in command], writing)
    os.close(writing)
    writer = threading.Thread(target=write_log, args=(reading, log), daemon=True)
    writer.start()
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b"%d\n" % server)
    status = watch(server, launcher, grace_seconds)
    end_orphans()
    writer.join(LAST_WORDS_SECONDS)
    remove_shared_memory(prefix)
    return status


def start_server(libc: ctypes.CDLL, command: list[str], output: int) -> int:
    """Start `command` in a session of its own, tied to this process's life, printing to `output`; its process id."""
    guard = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for stream in (sys.stdout, sys.stderr):
                os.dup2(output, stream.fileno())
            allow_files()
            os.execv(command[0], command)
    except OSError as error:
        os.write(sys.stderr.fileno(), f"error: {command[0]}: {error.strerror}\n".encode())
    os._exit(EXEC_FAILED)


def allow_files() -> None:
    """Raise the limit of open files, one for each connection, to what this user may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def write_log(reading: int, path: str) -> None:
    """Write what comes out of a pipe to a log until the pipe ends; of what cannot be written it is said how much."""
    log, lost, reason = None, 0, ""
    while piece := os.read(reading, PIECE_BYTES):
        try:
            log = open_log(path, log)
            if lost:
                write_all(log, f"error: {lost} bytes could not be written here ({reason})\n".encode())
                lost = 0
            write_all(log, piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must not wait for its log
            log, lost, reason = None, lost + len(piece), repr(error)


def write_all(log: BinaryIO, piece: bytes) -> None:
    """Write all of a piece, as an unbuffered file may take only a part at a time."""
    left = memoryview(piece)
    while left:
        left = left[log.write(left) :]


def open_log(path: str, log: BinaryIO | None) -> BinaryIO:
    """The open `log` where it is still the file at `path` and not too long, else a new one there."""
    with contextlib.suppress(FileNotFoundError):
        if log and os.path.samestat(os.stat(path), os.fstat(log.fileno())) and log.tell() < LOG_BYTES:
            return log
    if log:
        log.close()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size >= LOG_BYTES:
            os.replace(path, f"{path}.1")
    return open(path, "ab", buffering=0)


def watch(server: int, launcher: int, grace_seconds: float) -> int:
    """Wait for the server's end, and bring it about when it is time."""
    told_to_stop, deadline = False, 0.0
    while True:
        received = signal.sigtimedwait(SIGNALS, POLL_SECONDS)
        status = exit_status(server)
        if status is not None:
            return 0 if told_to_stop else status
        is_order = received is not None and received.si_signo != signal.SIGCHLD
        if told_to_stop and (is_order or time.monotonic() > deadline):
            os.kill(server, signal.SIGKILL)
        elif not told_to_stop and (is_order or os.getppid() != launcher):
            seconds = min(grace_seconds, HOPELESS_SECONDS) if has_dead_child(server) else grace_seconds
            told_to_stop, deadline = True, time.monotonic() + seconds
            with contextlib.suppress(OSError):
                os.write(sys.stdout.fileno(), TOLD)
            os.kill(server, signal.SIGTERM)
            os.kill(server, signal.SIGCONT)  # one that was halted would not notice


def exit_status(server: int) -> int | None:
    """The server's exit status, 128 + the signal that ended it, or None while it runs.

    Orphans that ended are collected on the way.
    """
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return None
            if pid == server:
                return 128 + os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
    return None


def children(parent: int) -> dict[int, str]:
    """The state of each child of a process, by its process id; "Z" is one that has ended unnoticed."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found[int(name)] = fields[0]
    return found


def has_dead_child(server: int) -> bool:
    """Whether a child of the server has ended, and the server has not noticed."""
    return "Z" in children(server).values()


def end_orphans() -> None:
    """Kill every descendant that is left; killing one hands its own children to us."""
    while True:
        for orphan in children(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def remove_shared_memory(prefix: str) -> None:
    """Remove the regions that Python-backend processes with this prefix left in /dev/shm."""
    if not prefix.startswith(SHARED_MEMORY_PREFIX):
        raise ValueError(f"shared-memory prefix {prefix!r} is not ours: it does not begin with {SHARED_MEMORY_PREFIX}")
    for path in glob.glob(f"/dev/shm/{glob.escape(prefix)}*"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
