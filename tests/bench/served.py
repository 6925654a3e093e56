"""A server to be measured: gunid on one CPU of its own, and what its workers cost."""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ("gunid", "gunid-worker")
BOOT_S = 15.0
STOP_S = 10.0
# Variables that would change what is measured.
SETTINGS_VARIABLES = ("FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "PORT", "SENDFILE", "VIRTUAL_ENV",
                      "WEB_CONCURRENCY")


class BenchmarkError(Exception):
    """One line that says why there are no figures."""


def find_bin_dir(given: Path | None) -> Path:
    """The directory of the programs: the given one, else the release build, else the dev build."""
    candidates = [given] if given else [ROOT / "build" / preset / "bin"
                                        for preset in ("release", "dev")]
    for directory in candidates:
        if all(os.access(directory / program, os.X_OK) for program in PROGRAMS):
            return directory.resolve()
    names = " or ".join(str(directory) for directory in candidates)
    raise BenchmarkError(f"no {' and '.join(PROGRAMS)} in {names}: "
                         "cmake --preset release && cmake --build --preset release")


def two_cpus() -> tuple[int, int]:
    """One for the server, one for the load."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise BenchmarkError("a benchmark needs two CPUs: one for the server, one for the load")
    return cpus[0], cpus[1]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, in steps of the clock tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=BOOT_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Served:
    """gunid with `arguments` and tests/bench/application.py, ready; stopped when the scope ends."""

    def __init__(self, bin_dir: Path, cpu: int, *arguments: object):
        self.directory = tempfile.TemporaryDirectory(prefix="gunid-bench-")
        self.control_socket = Path(self.directory.name, "control.sock")
        self.log = Path(self.directory.name, "log")
        self.port = free_port()
        command = [bin_dir / "gunid", *arguments, "--bind", f"127.0.0.1:{self.port}",
                   "--control-socket", self.control_socket, "application:app"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=HERE,
                env={key: value for key, value in os.environ.items()
                     if key not in SETTINGS_VARIABLES} | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
            )

    def __enter__(self) -> "Served":
        try:
            self._wait_ready()
            self.worker_pids = [worker["pid"] for worker in self.read("/v1/workers")["workers"]]
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self._stop()

    def read(self, path: str) -> dict:
        """A document of the control API."""
        connection = UnixConnection(self.control_socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != 200:
                raise BenchmarkError(f"GET {path} of the control API was answered "
                                     f"{response.status}")
            return json.load(response)
        finally:
            connection.close()

    def url(self, target: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{target}"

    def worker_cpu_seconds(self) -> float:
        try:
            return sum(cpu_seconds(pid) for pid in self.worker_pids)
        except FileNotFoundError:
            raise BenchmarkError(f"a worker died:\n{self.log_end()}") from None

    def wait_in_flight(self, requests: int) -> None:
        self._wait(lambda: self.read("/v1/stats")["in_flight"] == requests,
                   f"{requests} requests in flight")

    def log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def _wait_ready(self) -> None:
        def ready() -> bool:
            try:
                status = self.read("/v1/status")
            except (FileNotFoundError, ConnectionRefusedError):  # not there yet
                return False
            return status["state"] == "serving" and (
                status["workers_ready"] == status["workers_wanted"])
        self._wait(ready, "ready workers")

    def _wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + BOOT_S
        while not condition():
            if self.process.poll() is not None:
                raise BenchmarkError(f"gunid exited with {self.process.returncode}:\n"
                                     f"{self.log_end()}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"no {what} within {BOOT_S:g} s:\n{self.log_end()}")
            time.sleep(0.01)

    def _stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                # Its session is its own; workers end with it.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.directory.cleanup()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
