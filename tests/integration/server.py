"""A real gunid: started on free ports, observed by log and control socket, gone at the end."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import processes
from programs import APPS, GUNID, TIMEOUT, environment, gunictl
from waiting import wait_until

SANITIZER_REPORT = re.compile(r"(Address|Thread|Leak)Sanitizer|runtime error:")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float = TIMEOUT):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class Response:
    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def exchange(
    connection: http.client.HTTPConnection, method: str, target: str, **options
) -> Response:
    """One request and its response; the connection stays open if both sides want that."""
    connection.request(method, target, **options)
    response = connection.getresponse()
    return Response(response.status, response.reason, response.headers, response.read())


@dataclass
class LogLine:
    text: str
    time: float  # monotonic: when it was read


class Log:
    """Everything the server wrote to its standard output and error, read by a thread."""

    def __init__(self, stream):
        self.lines: list[LogLine] = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream) -> None:
        for line in stream:
            with self.changed:
                self.lines.append(LogLine(line.rstrip("\n"), time.monotonic()))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def text(self, start: int = 0) -> str:
        with self.changed:
            return "\n".join(line.text for line in self.lines[start:])

    def mark(self) -> int:
        """A position to search from."""
        with self.changed:
            return len(self.lines)

    def matches(self, pattern: str, start: int = 0) -> list[re.Match]:
        with self.changed:
            found = [re.search(pattern, line.text) for line in self.lines[start:]]
        return [match for match in found if match]

    def times(self, pattern: str, start: int = 0) -> list[float]:
        with self.changed:
            return [line.time for line in self.lines[start:] if re.search(pattern, line.text)]

    def wait_for(
        self, pattern: str, count: int = 1, start: int = 0, timeout: float = TIMEOUT
    ) -> re.Match:
        """Waits until `count` lines match, and returns the last of these."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while len(found := self.matches(pattern, start)) < count:
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    raise AssertionError(f"the log has {len(found)} of {count} lines {pattern!r}")
                self.changed.wait(left)
            return found[count - 1]


class Server:
    """gunid with the given arguments, on a free port and with a control socket unless told."""

    def __init__(
        self,
        *arguments: object,
        bind: tuple[str, ...] = ("127.0.0.1:0",),
        control: bool = True,
        cwd: Path = APPS,
        env: dict[str, str] | None = None,
        prefix: tuple[object, ...] = (),
        pass_fds: tuple[int, ...] = (),
        program: Path = GUNID,
    ):
        # Unix socket paths must be short; pytest's temporary directories are not.
        self.directory = Path(tempfile.mkdtemp(prefix="gunid-test-"))
        self.control_socket = self.directory / "control.sock"
        self.marker = uuid.uuid4().hex
        # `prefix` is a program that starts gunid, by exec or as its child.
        command = [*prefix, program, *arguments]
        for address in bind:
            command += ["--bind", address]
        if control:
            command += ["--control-socket", self.control_socket]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment(**{processes.MARKER: self.marker}, **(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.pid = self.process.pid
        self.log = Log(self.process.stdout)

    # Being there

    def wait_ready(self, workers: int | None = None) -> "Server":
        """Waits until all wanted workers (or that many) say that they are ready."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"gunid exited with {self.process.returncode}")
            try:
                status = self.status()
            except (FileNotFoundError, ConnectionRefusedError):  # not bound, or not listening yet
                return False
            wanted = status["workers_wanted"] if workers is None else workers
            # Those that have crashed before may be ready now.
            serving = status["state"] in ("serving", "crash-looping")
            return serving and status["workers_ready"] == wanted

        wait_until(ready, "all workers to be ready")
        return self

    @property
    def address(self) -> str:
        return self.log.wait_for(r"Listening at: (\S+)")[1]

    @property
    def url(self) -> str:
        return self.address.rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    # Being a client

    def connect(self, timeout: float = TIMEOUT) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method: str, target: str, timeout: float = TIMEOUT, **options) -> Response:
        connection = self.connect(timeout)
        try:
            return exchange(connection, method, target, **options)
        finally:
            connection.close()

    def get(self, target: str = "/", **options) -> Response:
        return self.request("GET", target, **options)

    def socket(self, timeout: float = TIMEOUT) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, data: bytes) -> bytes:
        """Sends the bytes and returns everything that comes until the server closes."""
        with self.socket() as client:
            client.sendall(data)
            return read_all(client)

    # Being an operator

    def api(self, method: str, path: str, document: object = None) -> Response:
        connection = UnixConnection(str(self.control_socket))
        try:
            body = None if document is None else json.dumps(document)
            return exchange(
                connection, method, path, body=body, headers={"Content-Type": "application/json"}
            )
        finally:
            connection.close()

    def read(self, path: str) -> dict:
        response = self.api("GET", path)
        assert response.status == 200, response
        return response.json()

    def status(self) -> dict:
        return self.read("/v1/status")

    def stats(self) -> dict:
        return self.read("/v1/stats")

    def workers(self) -> list[dict]:
        return self.read("/v1/workers")["workers"]

    def worker_pids(self) -> set[int]:
        return {worker["pid"] for worker in self.workers() if worker["state"] == "ready"}

    def wait_in_flight(self, requests: int) -> None:
        wait_until(
            lambda: self.stats()["in_flight"] == requests, f"{requests} requests in flight"
        )

    def gunictl(self, *arguments: object, **options) -> subprocess.CompletedProcess:
        result = gunictl("--socket", self.control_socket, *arguments, **options)
        assert not SANITIZER_REPORT.search(result.stderr), result.stderr
        return result

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    # Going away

    def wait_exit(self, timeout: float = TIMEOUT) -> int:
        return self.process.wait(timeout)

    def stop(self) -> int:
        """Stops gracefully and returns the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait_exit()

    def processes(self) -> set[processes.Process]:
        return processes.marked(self.marker)

    def wait_gone(self) -> None:
        wait_until(lambda: not self.processes(), "the server's last process to go")

    def close(self) -> None:
        """Stops quickly what still runs; fails if a process stays, or if a sanitizer complained."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGINT)
                self.wait_exit()
            self.wait_gone()
        except (AssertionError, subprocess.TimeoutExpired):
            for process in self.processes():
                os.kill(process.pid, signal.SIGKILL)
            self.process.wait()
            raise
        finally:
            self.log.thread.join(TIMEOUT)
            shutil.rmtree(self.directory, ignore_errors=True)
        assert not SANITIZER_REPORT.search(self.log.text()), self.log.text()


def read_all(client: socket.socket) -> bytes:
    data = bytearray()  # bytes would be copied with each chunk
    while chunk := client.recv(65536):
        data += chunk
    return bytes(data)


class Gate:
    """A request to tests/apps/blocking.py (or an import) that waits here until it is opened."""

    def __init__(self, directory: Path):
        self.path = directory / f"gate-{uuid.uuid4().hex}"
        os.mkfifo(self.path)
        self.writer: int | None = None

    @property
    def target(self) -> str:
        return f"/fifo?fifo={self.path}"

    def wait_entered(self) -> "Gate":
        """Waits until somebody reads the FIFO: the application's code is running."""
        wait_until(self.is_entered, "the application to reach the gate")
        return self

    def is_entered(self) -> bool:
        if self.writer is not None:
            return True
        try:
            self.writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads
            return False
        return True

    def open(self) -> None:
        if self.writer is None:
            self.wait_entered()
        os.close(self.writer)
        self.writer = None
