"""A real server and its supervisor."""

from __future__ import annotations

import signal
import threading

from clients.triton import TritonClient
from pipeline.errors import ServerError
from serving.process.ports import Ports
from serving.triton.server.options import TritonOptions
from serving.triton.server.supervision import Supervisor
from tests.serving.passing import PassingServer

TEXT = "某公司宣布裁员两千人"


class Watched:
    """A server and its supervisor in a thread."""

    def __init__(self, repository, state_dir, **options):
        explicit = TritonOptions(model_control_mode="explicit", load_model=("*",))
        self.server = PassingServer(
            repository, ports=Ports.free(), state_dir=state_dir, options=explicit, admin_key="secret"
        )
        self.options, self.reports, self.fault = options, [], None

    def __enter__(self):
        self.server.__enter__()
        self.server.wait_ready()
        supervisor = Supervisor(self.server, self.reports.append, lambda line: None, **self.options)
        self.thread = threading.Thread(target=self._run, args=(supervisor,))
        self.thread.start()
        return self

    def _run(self, supervisor):
        try:
            supervisor.run()
        except ServerError as error:
            self.fault = error

    def __exit__(self, *exception):
        guard = self.server._guard
        if guard:
            guard.terminate()
            guard.send_signal(signal.SIGINT)  # at once: nothing is under way
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.server.stop()

    def answers(self):
        try:
            with TritonClient(self.server.grpc_address, timeout_seconds=5) as client:
                return bool(client.classify([TEXT])[0])
        except ServerError:
            return False
