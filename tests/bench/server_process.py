"""A server to be measured: started on CPUs of its own, ready when it answers, and what it costs."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from typing import Callable

from environment import HERE, SETTINGS_VARIABLES, BenchmarkError
from process_cost import cpu_seconds, pss_bytes, session_pids

BOOT_S = 15.0
STOP_S = 10.0


class ServerProcess:
    """A command that serves HTTP on `port`, in a session of its own; stopped when the scope ends."""

    def __init__(self, name: str, command: list[object], port: int, cpus: set[int],
                 environment: dict[str, str]):
        self.name = name
        self.port = port
        self.log_file = tempfile.TemporaryFile(prefix="gunid-bench-")
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=HERE,
            env={key: value for key, value in os.environ.items() if key not in SETTINGS_VARIABLES}
            | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(HERE)} | environment,
            stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def wait_ready(self, patience_s: float = BOOT_S) -> None:
        """Until it accepts connections."""
        def accepts() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=BOOT_S).close()
            except ConnectionRefusedError:
                return False
            return True
        self._wait(accepts, "accepted connection", patience_s)

    def fetch(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> bytes:
        """The body of an answer, which must be 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOOT_S)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"{self.name} did not answer {method} {target}: "
                                 f"{type(error).__name__} {error}\n{self.log_end()}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise BenchmarkError(f"{self.name} answered {method} {target} with {response.status}:\n"
                                 f"{self.log_end()}")
        return content

    def url(self, target: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{target}"

    def pids(self) -> list[int]:
        """Its processes: all of its session."""
        return session_pids(self.process.pid)

    def cpu_seconds(self) -> float:
        """User and system time of all its processes."""
        return sum(cpu_seconds(pid) for pid in self.pids())

    def memory_bytes(self) -> int:
        """PSS of all its processes: what they share counts once."""
        return sum(pss_bytes(pid) for pid in self.pids())

    def log_end(self) -> str:
        # Its place in the file is the server's, too: reading must not move it.
        text = os.pread(self.log_file.fileno(), 2**20, 0).decode(errors="replace")
        return "\n".join(text.splitlines()[-10:])

    def stop(self, patience_s: float = STOP_S) -> None:
        if self.log_file.closed:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what it has left behind, too
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log_file.close()

    def _wait(self, condition: Callable[[], bool], what: str, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            if self.process.poll() is not None:
                raise BenchmarkError(f"{self.name} exited with {self.process.returncode}:\n"
                                     f"{self.log_end()}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name}: no {what} within {patience_s:g} s:\n"
                                     f"{self.log_end()}")
            time.sleep(0.005)
