"""Load by plain sockets, for the time of each request; wrk.py is for throughput."""

import math
import re
import socket
import threading
import time

from environment import BenchmarkError

PATIENCE_S = 20.0


class Client:
    """One connection. Its requests are sent as bytes, so that little of the time is the client's."""

    def __init__(self, port: int, target: str = "/", source: str = ""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception) -> None:
        self.socket.close()

    def get(self) -> None:
        """One request and its whole response, which must be 200 with a Content-Length."""
        self.socket.sendall(self.request)
        data = b""
        while not (end := data.find(b"\r\n\r\n") + 4) > 3 or len(data) < end + body_length(data):
            part = self.socket.recv(65536)
            if not part:
                raise BenchmarkError(f"the connection was closed after {len(data)} bytes")
            data += part
        if not data.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"answered {data.splitlines()[0].decode(errors='replace')!r}")


def body_length(head: bytes) -> int:
    length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head, re.I)
    if not length:
        raise BenchmarkError("a response without Content-Length")
    return int(length[1])


def latencies_kept(port: int, seconds: float, pause_s: float) -> list[float]:
    """Seconds of each request over one connection, with a pause before each."""
    with Client(port) as client:
        return timed(client.get, seconds, pause_s)


def latencies_new(port: int, seconds: float, pause_s: float) -> list[float]:
    """Seconds of each request over a connection of its own, connecting included."""
    def one() -> None:
        with Client(port) as client:
            client.get()
    return timed(one, seconds, pause_s)


def timed(action, seconds: float, pause_s: float) -> list[float]:
    end = time.monotonic() + seconds
    times = []
    while time.monotonic() < end:
        time.sleep(pause_s)
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return times


class Crowd:
    """Requests from threads, one each, all sent at once; result() waits for the answers."""

    def __init__(self, port: int, count: int, target: str):
        self.error: Exception | None = None
        self.ends: list[float] = []
        self.start = time.monotonic()
        barrier = threading.Barrier(count, action=self._mark_start)
        self.threads = [threading.Thread(target=self._run, args=(port, target, barrier))
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def result(self) -> float:
        """Seconds from the first request to the last answer."""
        for thread in self.threads:
            thread.join()
        if self.error:
            raise BenchmarkError(f"{type(self.error).__name__}: {self.error}")
        return max(self.ends) - self.start

    @property
    def answered(self) -> int:
        return len(self.ends)

    def _mark_start(self) -> None:
        self.start = time.monotonic()

    def _run(self, port: int, target: str, barrier: threading.Barrier) -> None:
        try:
            barrier.wait(PATIENCE_S)
            with Client(port, target) as client:
                client.get()
            self.ends.append(time.monotonic())
        except (OSError, BenchmarkError, threading.BrokenBarrierError) as error:
            self.error = error


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least that share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
