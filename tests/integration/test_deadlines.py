"""Deadlines for clients: a request head, a body and an idle connection have their seconds."""

import socket
import time
from contextlib import contextmanager
from typing import Iterator

import pytest

from server import Server, exchange, read_all
from streams import pattern

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /check HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
LATEST = 4.0  # seconds after its deadline that a busy machine may need to act on it
SECONDS = ("--header-timeout", "1", "--body-timeout", "1", "--keep-alive", "1")


@pytest.fixture(scope="module")
def sync(module_gunid) -> Server:
    return module_gunid("streams:app", *SECONDS)


@pytest.fixture(scope="module")
def threaded(module_gunid) -> Server:
    return module_gunid("streams:app", *SECONDS, "--threads", "2")


@pytest.fixture(params=["sync", "threaded"])
def server(request) -> Server:
    return request.getfixturevalue(request.param)


@contextmanager
def ends_after(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    elapsed = time.monotonic() - begin
    assert seconds - 0.1 < elapsed < seconds + LATEST, f"it took {elapsed:.2f} s"


def drip(client: socket.socket, drop: bytes, interval: float) -> bytes:
    """Sends a drop at a time until the server says something, and returns that."""
    client.settimeout(interval)
    for _ in range(200):
        try:
            return client.recv(65536)
        except TimeoutError:
            client.sendall(drop)
    raise AssertionError("the server accepts every drop")


def assert_timed_out(answer: bytes) -> None:
    assert answer.startswith(b"HTTP/1.1 408 ") and b"\r\nConnection: close\r\n" in answer, answer


def assert_is_well(server: Server) -> None:
    assert server.get("/").status == 200
    server.wait_in_flight(0)


# Heads


def test_head_that_stops(sync):
    with sync.socket() as client, ends_after(1):
        client.sendall(HEAD)
        assert_timed_out(read_all(client))
    assert_is_well(sync)


@pytest.mark.parametrize("drop", [b"x", b"X-Field: value\r\n"], ids=["bytes", "fields"])
def test_head_that_drips(server, drop):
    """Its time counts from its first byte, whatever comes after that."""
    with server.socket() as client:
        time.sleep(0.6)
        with ends_after(1):
            client.sendall(HEAD)
            assert_timed_out(drip(client, drop, 0.1))
    assert_is_well(server)


def test_new_connection_that_stays_silent(sync):
    with sync.socket() as client, ends_after(1):
        assert read_all(client) == b""


# Bodies


@pytest.mark.parametrize("fields, begin", [
    (b"Content-Length: 100\r\n\r\n", b"0123456789"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"64\r\n0123456789"),
    (b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n", b""),
], ids=["length", "chunked", "expect"])
def test_body_that_stops(sync, fields, begin):
    with sync.socket() as client, ends_after(1):
        client.sendall(POST + fields + begin)
        assert_timed_out(read_all(client).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
    assert_is_well(sync)


@pytest.mark.parametrize("fields, drop", [
    (b"Content-Length: 1000000\r\n\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
], ids=["length", "chunked"])
def test_body_that_drips(server, fields, drop):
    with server.socket() as client, ends_after(1):
        client.sendall(POST + fields)
        assert_timed_out(drip(client, drop, 0.1))
    assert_is_well(server)


def test_body_that_flows_for_longer_than_the_timeout(sync):
    """20 KB/s is a slow network, and no attack."""
    size, piece = 44_000, 2_000
    with sync.socket() as client, ends_after(2.2):
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % size)
        for offset in range(0, size, piece):
            client.sendall(pattern(offset, piece))
            time.sleep(0.1)
        assert read_all(client).endswith(b"\r\n\r\n44000 intact")


# Kept connections


@pytest.fixture
def kept(threaded) -> Iterator[socket.socket]:
    """A connection after its first answer."""
    connection = threaded.connect()
    assert exchange(connection, "GET", "/").status == 200
    yield connection.sock
    connection.close()


def test_kept_connection_that_stays_silent(kept):
    with ends_after(1):
        assert read_all(kept) == b""


def test_second_head_that_drips(threaded, kept):
    time.sleep(0.5)
    with ends_after(1):
        kept.sendall(HEAD)
        assert_timed_out(drip(kept, b"x", 0.1))
    assert_is_well(threaded)


def test_request_that_comes_in_time(kept):
    time.sleep(0.5)
    kept.sendall(HEAD + b"Connection: close\r\n\r\n")
    assert read_all(kept).startswith(b"HTTP/1.1 200 ")


def test_time_that_the_application_takes_is_not_the_clients(gunid, gate):
    """A sync worker reads nothing meanwhile; what has come in time is served."""
    server = gunid("blocking:app", "--header-timeout", "1", "--body-timeout", "1")
    with server.socket() as head, server.socket() as body, server.socket() as blocker:
        head.sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\n")
        body.sendall(b"POST /pid HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        blocker.sendall(f"GET {gate.target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        gate.wait_entered()
        head.sendall(b"\r\n")
        body.sendall(b"bc")
        time.sleep(2)  # both deadlines pass
        gate.open()
        assert read_all(head).startswith(b"HTTP/1.1 200 ")
        assert read_all(body).startswith(b"HTTP/1.1 200 ")
