"""gunid to be measured, and what its control socket tells."""

import http.client
import json
import socket
import subprocess
import tempfile
from pathlib import Path

from environment import BenchmarkError, free_port
from server_process import BOOT_S, ServerProcess


class ControlConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=BOOT_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class GunidProcess(ServerProcess):
    """gunid with these arguments, on a port and with a control socket of its own."""

    def __init__(self, programs: Path, cpus: set[int], *arguments: object,
                 environment: dict[str, str] | None = None):
        self.directory = tempfile.TemporaryDirectory(prefix="gunid-bench-")
        self.control_socket = Path(self.directory.name, "control.sock")
        self.programs = programs
        port = free_port()
        super().__init__("gunid", [programs / "gunid", "--bind", f"127.0.0.1:{port}",
                                   "--control-socket", self.control_socket, *arguments],
                         port, cpus, environment or {})

    @property
    def supervisor_pid(self) -> int:
        return self.process.pid

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.read("/v1/workers")["workers"]]

    def wait_ready(self, patience_s: float = BOOT_S) -> None:
        """Until all workers are ready."""
        def ready() -> bool:
            try:
                status = self.read("/v1/status")
            except (FileNotFoundError, ConnectionRefusedError):  # not there yet
                return False
            return (status["state"] == "serving"
                    and status["workers_ready"] == status["workers_wanted"])
        self._wait(ready, "ready workers", patience_s)

    def wait_in_flight(self, requests: int) -> None:
        self._wait(lambda: self.read("/v1/stats")["in_flight"] == requests,
                   f"{requests} requests in flight", BOOT_S)

    def read(self, path: str) -> dict:
        """A document of the control API."""
        connection = ControlConnection(self.control_socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != 200:
                raise BenchmarkError(f"GET {path} of the control API was answered "
                                     f"{response.status}")
            return json.load(response)
        finally:
            connection.close()

    def control(self, *command: object) -> None:
        """gunictl with this command; returns when it does."""
        arguments = [str(part) for part in (self.programs / "gunictl", "--socket",
                                            self.control_socket, *command)]
        result = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            raise BenchmarkError(f"gunictl {' '.join(arguments[3:])} exited with "
                                 f"{result.returncode}: {result.stdout.strip()}\n{self.log_end()}")

    def stop(self, *arguments, **options) -> None:
        super().stop(*arguments, **options)
        self.directory.cleanup()
