"""Nothing is lost when workers go: every request of a load that goes on is accounted for."""

import os
import signal
import socket
import time

import pytest

from load_generator import LOST, LoadGenerator
from programs import sanitized
from server import Server, read_all
from waiting import wait_until

ROUNDS = 10
KINDS = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gevent": ("-k", "gevent"),
}
WORKER_KINDS = pytest.mark.parametrize(
    "kind",
    [
        "sync",
        "gthread",
        # Greenlets move parts of the stack about, which the sanitizers take for damage.
        pytest.param("gevent", marks=pytest.mark.skipif(sanitized(), reason="no greenlets")),
    ],
)


def serve(gunid, kind: str, *arguments: object, **options) -> Server:
    return gunid("numbered:app", "-w", 2, "--keep-alive", 30, "--reload-settle", 0.2, *KINDS[kind],
                 *arguments, **options)


def target(server: Server) -> str:
    return server.url.removeprefix("http://")


def assert_nothing_lost(result: dict, least: int) -> None:
    counts = result["counts"]
    assert not any(counts.get(how) for how in LOST), result
    assert counts["answered"] >= least, result


def command(server: Server, *words: object) -> None:
    result = server.gunictl(*words)
    assert result.returncode == 0, result


def disturb(server: Server) -> None:
    for _ in range(ROUNDS):
        command(server, "reload")
    for workers in (4, 1, 3, 2):
        command(server, "scale", workers)
    command(server, "restart")


@WORKER_KINDS
def test_reloads_scales_and_restarts_lose_nothing(gunid, kind):
    server = serve(gunid, kind)
    with LoadGenerator(target(server)) as load:
        disturb(server)
        result = load.end()
    assert_nothing_lost(result, 100)
    assert "refused" not in result["counts"], result


def test_reloads_lose_nothing_on_a_unix_socket(gunid):
    path = f"/tmp/gunid-hitless-{os.getpid()}.sock"
    server = serve(gunid, "gthread", bind=(f"unix:{path}",))
    with LoadGenerator(f"unix:{path}") as load:
        disturb(server)
        result = load.end()
    assert_nothing_lost(result, 100)
    assert "refused" not in result["counts"], result


@WORKER_KINDS
def test_recycled_workers_lose_nothing(gunid, kind):
    server = serve(gunid, kind, "--max-requests", 60)
    with LoadGenerator(target(server)) as load:
        wait_until(lambda: server.stats()["totals"]["workers_spawned"] >= 12, "workers to be recycled", 60)
        result = load.end()
    assert_nothing_lost(result, 500)
    assert "refused" not in result["counts"], result


def test_idle_connections_move_to_the_next_workers(gunid):
    server = serve(gunid, "gthread")
    with LoadGenerator(target(server), kept=30, closing=0, think=0.5) as load:
        for _ in range(3):
            command(server, "reload")
        result = load.end()
    assert_nothing_lost(result, 30)
    assert "reconnected" not in result["counts"], result


@pytest.mark.parametrize("bind", ["tcp", "unix"])
@WORKER_KINDS
def test_a_stop_answers_all_that_have_connected(gunid, kind, bind):
    path = f"/tmp/gunid-hitless-{os.getpid()}.sock"
    server = serve(gunid, kind, bind=("127.0.0.1:0" if bind == "tcp" else f"unix:{path}",))
    address = target(server) if bind == "tcp" else f"unix:{path}"
    with LoadGenerator(address, kept=4, closing=30) as load:
        server.signal(signal.SIGTERM)
        assert server.wait_exit() == 0
        result = load.wait_refused()
    assert_nothing_lost(result, 34)
    assert result["counts"]["refused"] == 34, result


def test_a_stop_answers_what_is_queued(gunid, gate):
    server = gunid("blocking:app", "-w", 1)
    request = b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"
    blocked = server.socket()
    blocked.sendall(request.replace(b"/pid", gate.target.encode()))
    gate.wait_entered()
    queued = [server.socket() for _ in range(20)]
    for client in queued:
        client.sendall(request)
    server.signal(signal.SIGTERM)
    server.log.wait_for("Handling signal: term")
    gate.open()
    for client in [blocked, *queued]:
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close" in answer
    assert server.wait_exit() == 0


def test_a_stop_does_not_wait_for_idle_clients(gunid):
    server = serve(gunid, "gthread")
    with server.socket() as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        started = time.monotonic()
        assert server.stop() == 0
        # As long as the grace of a worker that only retires, twice: it takes a third of a second.
        assert time.monotonic() - started < 2


def test_a_silent_connection_outlives_its_worker(gunid):
    server = serve(gunid, "gthread")
    with server.socket() as client:
        wait_until(lambda: server.stats()["totals"]["connections"] >= 1, "the connection to be accepted")
        command(server, "reload")
        command(server, "restart")
        client.sendall(b"GET /7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"7:"), answer


def test_a_connection_outlives_the_address_that_it_came_by(gunid, tmp_path):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text('bind = ["127.0.0.1:0", "localhost:0"]\nthreads = 2\nkeepalive = 30\n')
    server = gunid("numbered:app", "-c", config, bind=())
    addresses = [line for line in server.log.text().splitlines() if "Listening at" in line]
    port = int(addresses[0].partition("http://")[2].partition(" ")[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        config.write_text('bind = ["127.0.0.2:0"]\nthreads = 2\nkeepalive = 30\n')
        command(server, "reload")
        client.sendall(b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_all(client).endswith(b"2:")
