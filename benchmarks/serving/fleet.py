"""Servers that come and go behind HAProxy on one machine, each treated as Kubernetes treats a pod.

A server is `python -m serving.triton`, asked golden texts as the probes of serving/kubernetes ask them. One that is to
go is ready no more, answers on while its `preStop` lasts, and then gets SIGTERM.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.records import PROJECT
from pipeline.errors import ClassifierError, EnvironmentFault, InputError, ServerError
from serving import health
from serving.folders import TRITON
from serving.process import guard
from serving.process.ports import LOOPBACK, Ports, free_ports

DEPLOYMENT = PROJECT / "serving" / "kubernetes" / "base" / "deployment.yaml"
PROXY = "haproxy"
CONFIGURATION = """\
global
    stats socket {socket} mode 600 level admin
    maxconn 4096
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    option redispatch
frontend callers
    bind {address} proto h2
    default_backend triton
backend triton
    balance leastconn
"""
SERVER_LINE = "    server {name} {address} proto h2 disabled\n"
LAST_WORDS_SECONDS = 60.0
LOG = "launcher.log"


@dataclass(frozen=True)
class PodRules:
    """What a Deployment says of its pods; seconds.

    Attributes:
        startup_seconds, ready_seconds: between two probes.
        failures: of the readiness probe, after which a pod gets no requests.
        overloaded_is_ready: whether a pod that refuses the probe for having too much to do is ready.
        parting_seconds: that a pod which is to go still takes requests.
    """

    startup_seconds: float
    ready_seconds: float
    failures: int
    overloaded_is_ready: bool
    parting_seconds: float

    @classmethod
    def read(cls, path: Path, factor: float) -> PodRules:
        """Those in a YAML file, the times between probes multiplied by `factor`.

        Raises:
            InputError: the file cannot be read, or is no such Deployment.
        """
        import yaml

        try:
            (container,) = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["template"]["spec"]["containers"]
            ready = container["readinessProbe"]
            return cls(
                container["startupProbe"]["periodSeconds"] * factor,
                ready["periodSeconds"] * factor,
                ready["failureThreshold"],
                "--ready" not in ready["exec"]["command"],
                float(container["lifecycle"]["preStop"]["exec"]["command"][1]),
            )
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise InputError(f"{path} is no Deployment with probes and preStop ({error!r})") from error


class Proxy:
    """HAProxy before gRPC servers at fixed addresses, each with a name and shut out until it is let in.

    Args:
        folder: for its files.
        servers: address of each server by its name.

    Raises:
        EnvironmentFault: there is no HAProxy here, or it does not start.
    """

    def __init__(self, folder: Path, servers: dict[str, str]) -> None:
        program = shutil.which(PROXY) or shutil.which(PROXY, path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise EnvironmentFault(
                f"there is no {PROXY} here to stand before the servers (Debian: apt-get install haproxy)"
            )
        self.address = f"{LOOPBACK}:{free_ports(1)[0]}"
        self._socket = folder / "haproxy.sock"
        lines = [SERVER_LINE.format(name=name, address=address) for name, address in servers.items()]
        configuration = folder / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.format(socket=self._socket, address=self.address) + "".join(lines))
        self._process = subprocess.Popen([program, "-db", "-f", str(configuration)], stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Proxy:
        deadline = time.monotonic() + 10
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                _, said = self._end()
                raise EnvironmentFault(f"{PROXY} does not start: {said.strip()[-500:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def set_state(self, server: str, state: str) -> None:
        """Let a server in (`ready`), or give it no new requests (`drain`).

        Raises:
            ServerError: HAProxy objects.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(str(self._socket))
            connection.sendall(f"set server triton/{server} state {state}\n".encode())
            said = connection.recv(4096).decode().strip()
        if said:
            raise ServerError(f"{PROXY} does not set {server} to {state}: {said}")

    def _end(self) -> tuple[Any, str]:
        self._process.terminate()
        return self._process.communicate()


class Pod:
    """One server, from its start to its end.

    Attributes:
        place: its name in the proxy.
        name: its folder's, which no other server has.
        ready: whether it gets requests.
        leaving: whether it was told to go.
    """

    def __init__(self, place: str, ports: Ports, repository: Path, folder: Path, rules: PodRules, proxy: Proxy) -> None:
        self.place, self.name, self._rules, self._proxy = place, folder.name, rules, proxy
        self.metrics_address = f"{LOOPBACK}:{ports.metrics}"
        self.ready = self.leaving = self._was_ready = False
        alive = health.HealthOptions(only=TRITON, model_repository=repository, state_dir=folder)
        self._alive, self._takes_more = alive, replace(alive, ready=not rules.overloaded_is_ready)
        self._lock = threading.Lock()
        self._gone = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        # Under a guard, which ends it however this process ends.
        guarded = [
            guard.__file__,
            os.getpid(),
            LAST_WORDS_SECONDS,
            f"{guard.SHARED_MEMORY_PREFIX}{self.name}_",
            folder / LOG,
        ]
        ways = [f"--{way}_port={port}" for way, port in asdict(ports).items()]
        served = ["-m", "serving.triton", *ways, f"--model_repository={repository}", f"--state_dir={folder}"]
        command = [sys.executable, "-I", "-S", *map(str, guarded), sys.executable, *served]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
        threading.Thread(target=self._probe_on, daemon=True).start()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def leave(self, heard_seconds: float) -> threading.Thread:
        """Go as a pod goes: the proxy hears of it after a while, requests end, then the server does."""
        self.leaving, started = True, time.monotonic()
        self._gone.set()

        def go() -> None:
            time.sleep(heard_seconds)
            self._set_ready(False)
            time.sleep(max(0.0, started + self._rules.parting_seconds - time.monotonic()))
            self.stop()

        parting = threading.Thread(target=go)
        parting.start()
        return parting

    def stop(self) -> None:
        """End the server, letting accepted requests finish; the guard lets it take LAST_WORDS_SECONDS at most."""
        self.leaving = True
        self._gone.set()
        self._process.terminate()
        self._process.wait()

    def _probe_on(self) -> None:
        """Probe until it is told to go."""
        failures, seconds = 0, self._rules.startup_seconds
        while not self._gone.wait(seconds) and not self.has_ended:
            if self._answers(self._takes_more if self._was_ready else self._alive):
                failures, seconds = 0, self._rules.ready_seconds
                self._set_ready(True)
            else:
                failures += 1
                if failures >= self._rules.failures:
                    self._set_ready(False)

    @staticmethod
    def _answers(options: health.HealthOptions) -> bool:
        try:
            return bool(list(health.health(options)))
        except ClassifierError:
            return False

    def _set_ready(self, ready: bool) -> None:
        with self._lock:
            if ready == self.ready or (ready and self.leaving):
                return
            self.ready = ready
            self._was_ready = True
            self._proxy.set_state(self.place, "ready" if ready else "drain")


class Fleet:
    """The servers behind one proxy; a `with` block that ends all of them.

    Args:
        most: servers that stay, at a time; as many may be leaving beside them.
        repository: the folder that they serve.
        folder: for their logs and records.
        rules: of a pod.
        heard_seconds: until the proxy hears that a server leaves.

    Attributes:
        address: of the proxy.
        ended_unbidden: servers that ended without having been told to.
    """

    def __init__(self, most: int, repository: Path, folder: Path, rules: PodRules, heard_seconds: float) -> None:
        self._repository, self._folder, self._rules, self._heard_seconds = repository, folder, rules, heard_seconds
        numbers = iter(free_ports(6 * most))
        self._places = {f"server{place}": Ports(*islice(numbers, 3)) for place in range(2 * most)}
        self._proxy = Proxy(folder, {name: f"{LOOPBACK}:{ports.grpc}" for name, ports in self._places.items()})
        self.address = self._proxy.address
        self._pods: list[Pod] = []
        self._parting: list[threading.Thread] = []
        self._started = 0
        self.ended_unbidden = 0

    def __enter__(self) -> Fleet:
        self._proxy.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        for pod in self._pods:
            if not pod.leaving:  # told twice, a launcher lets nothing finish
                pod.stop()
        for thread in self._parting:
            thread.join()
        self._proxy.__exit__(*exception)

    @property
    def pods(self) -> list[Pod]:
        """Those that have not ended, the oldest first."""
        for pod in [each for each in self._pods if each.has_ended]:
            self.ended_unbidden += not pod.leaving
            self._pods.remove(pod)
        return list(self._pods)

    def scale(self, wanted: int) -> None:
        """Start servers, or tell the youngest to leave, until so many stay."""
        staying = [pod for pod in self.pods if not pod.leaving]
        for pod in staying[wanted:]:
            self._parting.append(pod.leave(self._heard_seconds))
        taken = {pod.place for pod in self._pods}
        free = [place for place in self._places if place not in taken]
        for place in free[: max(0, wanted - len(staying))]:
            self._started += 1
            folder = self._folder / f"pod{self._started}"
            self._pods.append(Pod(place, self._places[place], self._repository, folder, self._rules, self._proxy))

    def wait_ready(self, servers: int, seconds: float = 120.0) -> None:
        """Wait until so many take requests; raises ServerError, with what the last one said, where they do not."""
        deadline = time.monotonic() + seconds
        while sum(pod.ready for pod in self.pods) < servers:
            if time.monotonic() > deadline or not self._pods:
                said = [log.read_text(errors="replace")[-1000:] for log in sorted(self._folder.glob(f"pod*/{LOG}"))]
                raise ServerError(
                    f"{servers} servers did not become ready in {seconds:g} s; the last said: {said[-1:]}"
                )
            time.sleep(0.05)
