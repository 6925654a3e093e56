"""Gunicorn to be measured."""

import os
import signal
from pathlib import Path

from environment import BenchmarkError, free_port
from peers import PYTHON
from server_process import BOOT_S, ServerProcess

PROGRAM = Path("/usr/bin/gunicorn")


def require() -> None:
    if not PROGRAM.exists():
        raise BenchmarkError("Gunicorn is missing: apt-get install gunicorn")


class GunicornProcess(ServerProcess):
    """Gunicorn with these arguments, on a port of its own."""

    def __init__(self, cpus: set[int], *arguments: object, environment: dict[str, str] | None = None):
        port = free_port()
        super().__init__("gunicorn", [PYTHON, PROGRAM, "--bind", f"127.0.0.1:{port}", *arguments],
                         port, cpus, environment or {})

    def worker_pids(self) -> list[int]:
        """Processes, which may not be ready yet."""
        return [pid for pid in self.pids() if pid != self.process.pid]

    def wait_workers(self, count: int) -> None:
        """Until that many have been started."""
        self._wait(lambda: len(self.worker_pids()) >= count, f"{count} workers", BOOT_S)

    def reload(self) -> None:
        os.kill(self.process.pid, signal.SIGHUP)

    def add_workers(self, count: int) -> None:
        """One at a time, since signals that come while one waits are lost."""
        for _ in range(count):
            more = len(self.worker_pids()) + 1
            os.kill(self.process.pid, signal.SIGTTIN)
            self.wait_workers(more)
