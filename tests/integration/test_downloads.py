"""Responses that a client takes slowly, or not at all: they hold no worker and fill no memory."""

import http.client
import os
import socket
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from processes import Process
from programs import TIMEOUT, sanitized
from server import Server
from streams import pattern
from waiting import wait_until

SIZE = 5_000_000
SMALL_BUFFER = 4096
WORKER_CLASSES = pytest.mark.parametrize(
    "arguments", [(), ("--threads", "4")], ids=["sync", "threads"]
)
TARGETS = {
    "whole": f"/whole?size={SIZE}",
    "pieces": f"/generated?size={SIZE}&piece=65536",
    "small pieces": f"/generated?size={SIZE}&piece=100",
    "file": "/file?path={file}",
}


class Reader(http.client.HTTPConnection):
    """Asks for something, and takes of it what it is told to: the rest stays with the server."""

    def __init__(self, server: Server, target: str, method: str = "GET", **options):
        super().__init__("127.0.0.1", server.port, timeout=TIMEOUT)
        self.taken = 0
        self.request(method, target, **options)
        self.response = self.getresponse()

    def leave(self) -> None:
        self.response.close()
        self.close()

    def connect(self) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(self.timeout)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.sock.connect((self.host, self.port))

    def take(self, size: int) -> None:
        data = self.response.read(size)
        assert len(data) == size and data == pattern(self.taken, size)
        self.taken += size

    def take_rest(self) -> None:
        while data := self.response.read(65536):
            assert data == pattern(self.taken, len(data))
            self.taken += len(data)


class Journal:
    """What the application notes of an endless response (tests/apps/streams.py)."""

    def __init__(self, directory: Path):
        self.path = directory / "journal"

    @property
    def target(self) -> str:
        return f"/endless?journal={self.path}"

    @property
    def words(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []

    @property
    def taken(self) -> int:
        return int((self.words or ["0"])[0])

    @property
    def is_closed(self) -> bool:
        return "closed" in self.words


@pytest.fixture
def read() -> Iterator[Callable[..., Reader]]:
    """Makes readers, which leave at the end of the test."""
    readers = []

    def begin(server: Server, target: str, **options) -> Reader:
        readers.append(Reader(server, target, **options))
        return readers[-1]

    yield begin
    for reader in readers:
        reader.leave()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(b"".join(pattern(offset, 10_000) for offset in range(0, SIZE, 10_000)))
    return path


# More readers at once than the worker has threads.
@pytest.fixture(scope="module", params=[((), 2), (("--threads", "4"), 5)], ids=["sync", "threads"])
def server_and_readers(request, module_gunid) -> tuple[Server, int]:
    arguments, readers = request.param
    return module_gunid("streams:app", *arguments), readers


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_slow_readers_hold_no_worker(server_and_readers, target, file, read):
    server, count = server_and_readers
    readers = []
    for _ in range(count):
        readers.append(read(server, target.format(file=file)))
        readers[-1].take(1000)
        assert server.get("/", timeout=5).status == 200
    for reader in readers:
        reader.take_rest()
    assert [reader.taken for reader in readers] == [SIZE] * count


def seconds_pass(server: Server, seconds: float) -> None:
    start = server.status()["uptime_s"]
    wait_until(lambda: server.status()["uptime_s"] > start + seconds, f"{seconds} s to pass")


@WORKER_CLASSES
@pytest.mark.parametrize("size", [SIZE, 20 * SIZE], ids=["kept by the server", "too large to keep"])
def test_slow_reader_is_no_timeout_of_the_worker(gunid, arguments, size, read):
    server = gunid("streams:app", "--timeout", "1", *arguments,
                   "--limit-response-buffer", 4 * SIZE)
    workers = server.worker_pids()
    reader = read(server, f"/generated?size={size}&piece=65536")
    reader.take(1000)
    seconds_pass(server, 2.5)
    reader.take_rest()
    assert reader.taken == size
    assert server.worker_pids() == workers
    assert "TIMEOUT" not in server.log.text()
    assert server.stats()["totals"]["timeouts"] == 0


@WORKER_CLASSES
def test_endless_response_that_nobody_reads(gunid, arguments, journal, record_property):
    """What the application makes stays bounded; after --send-timeout the client is cut."""
    server = gunid("streams:app", "-w", "2", "--send-timeout", "2", *arguments,
                   "--limit-response-buffer", 60_000_000)
    with server.socket() as client:
        client.sendall(f"GET {journal.target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: journal.taken > 0, "the response to begin")
        begin = time.monotonic()
        while not journal.is_closed:
            assert server.get("/", timeout=5).status == 200
            assert time.monotonic() < begin + TIMEOUT, "the client was not cut"
        seconds = time.monotonic() - begin
        peak = max(Process(pid).memory("VmHWM") for pid in server.worker_pids())
        record_property("taken MB", journal.taken // 1_000_000)
        record_property("peak MB", peak // 1_000_000)
        record_property("cut after s", round(seconds, 1))
        assert 1.5 < seconds < 10
        assert journal.taken < 100 << 20
        assert peak < 64 << 20 or sanitized()
        assert not last_of(client).endswith(b"\r\n0\r\n\r\n"), "the response looks complete"


def last_of(client: socket.socket) -> bytes:
    """The end of what still comes."""
    last = b""
    try:
        while chunk := client.recv(1 << 20):
            last = (last + chunk)[-100:]
    except ConnectionResetError:
        pass
    return last


@WORKER_CLASSES
def test_complete_response_that_nobody_reads(gunid, arguments, read):
    """The application is done with it, but the client does not take it."""
    server = gunid("streams:app", "--send-timeout", "1", *arguments)
    (worker,) = server.worker_pids()
    idle = descriptors(worker)
    reader = read(server, f"/whole?size={SIZE}")
    reader.take(1000)
    assert descriptors(worker) > idle
    wait_until(lambda: descriptors(worker) == idle, "the client to be cut")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        reader.response.read()  # has a length
    assert server.get("/").status == 200


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@WORKER_CLASSES
def test_reader_that_takes_little_but_some_is_not_cut(gunid, arguments, journal, read):
    """Also where it takes so little that the system does not tell the server of it for long."""
    server = gunid("streams:app", "-w", "2", "--send-timeout", "1", *arguments,
                   "--limit-response-buffer", SIZE)
    endless = read(server, journal.target)
    finite = read(server, TARGETS["pieces"])
    begin = time.monotonic()
    while time.monotonic() < begin + 3:
        endless.take(20_000)  # it holds up the application
        finite.take(4096)
        time.sleep(0.1)
    finite.take_rest()
    assert finite.taken == SIZE
    assert not journal.is_closed
    # Now it takes nothing any more.
    wait_until(lambda: journal.is_closed, "the endless response to be cut")


@WORKER_CLASSES
def test_readers_that_take_too_little_do_not_hold_the_application(gunid, arguments, read):
    """As many as there are places, with more left to take than the server keeps."""
    server = gunid("streams:app", "--send-timeout", "1", *arguments,
                   "--limit-response-buffer", 1_000_000)
    readers = [read(server, f"/generated?size={10 * SIZE}&piece=65536") for _ in range(4)]

    def trickle() -> bool:
        for reader in readers:
            try:
                reader.response.read(500)
            except (http.client.HTTPException, OSError):
                pass
        return server.stats()["in_flight"] == 0

    wait_until(trickle, "all readers to be cut")
    assert server.get("/").status == 200


@WORKER_CLASSES
def test_upload_is_not_kept_for_its_slow_response(gunid, arguments, read):
    server = gunid("streams:app", *arguments)
    (worker,) = server.worker_pids()
    reader = read(server, f"/whole?size={4 * SIZE}", method="POST", body=b"x" * 1_000_000)
    wait_until(lambda: server.stats()["in_flight"] == 0, "the application to be through")
    assert len(temporary_files(worker)) == 1  # of the response
    reader.take_rest()
    wait_until(lambda: not temporary_files(worker), "the file to be closed")


def temporary_files(pid: int) -> list[str]:
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return [link for link in links if link.endswith("(deleted)") and "memfd" not in link]


@WORKER_CLASSES
def test_client_that_leaves_closes_the_iterable(gunid, arguments, journal, read):
    server = gunid("streams:app", *arguments)
    endless = read(server, journal.target)
    endless.take(1000)
    assert not journal.is_closed
    endless.leave()
    wait_until(lambda: journal.is_closed, "the iterable to be closed")
    assert server.get("/").status == 200
