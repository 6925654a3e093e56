"""Threads: as many calls at once as asked for, and an engine that goes on whatever they do."""

import pytest

from server import exchange, read_all
from waiting import wait_until

CLASSES = pytest.mark.parametrize(
    "arguments, calls", [(("-k", "sync"), 1), (("--threads", "1", "-k", "gthread"), 1), (("--threads", "3"), 3)],
    ids=["sync", "gthread-1", "threads-3"],
)


def meet(server, pool, place, count: int, clients: int | None = None) -> list:
    place.mkdir()
    target = f"/?count={count}&place={place}"
    return [pool.submit(server.get, target) for _ in range(clients or count)]


@pytest.mark.parametrize(
    "arguments, count", [(("--threads", "4"), 4), (("-w", "2", "--threads", "2"), 4), (("-w", "3"), 3)],
    ids=["one-worker", "two-workers", "sync"],
)
def test_all_places_are_used_before_a_request_waits(gunid, pool, tmp_path, arguments, count):
    """A worker takes no request that it cannot start while another worker could."""
    server = gunid("meeting:app", *arguments)
    for attempt in range(10):
        requests = meet(server, pool, tmp_path / str(attempt), count)
        assert {request.result().text for request in requests} == {"met"}


def test_no_more_calls_than_threads(gunid, pool):
    server = gunid("blocking:app", "--threads", "3")
    requests = [pool.submit(server.get, "/overlap") for _ in range(24)]
    assert max(int(request.result().text) for request in requests) <= 3


@CLASSES
def test_engine_goes_on_while_every_call_blocks(gunid, pool, gate, arguments, calls):
    """It times out a client that sends half a request, and takes what others send."""
    server = gunid("blocking:app", "--header-timeout", "1", "--worker-connections", "50", *arguments)
    with server.socket() as half:
        half.sendall(b"GET / HT")
        wait_until(lambda: server.stats()["totals"]["connections"] == 1, "the half request")
        blocked = [pool.submit(server.get, gate.target) for _ in range(calls)]
        server.wait_in_flight(calls)
        assert b" 408 " in read_all(half)
        assert server.workers()[0]["in_flight"] == calls
        gate.open()
    for request in blocked:
        assert request.result().text == "released"


@CLASSES
def test_response_is_sent_on_while_every_call_blocks(gunid, pool, gate, arguments, calls):
    """What a slow client has still to get of a finished response."""
    (gate.path.parent / "both.py").write_text(
        "import blocking\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] != '/large': return blocking.app(environ, start_response)\n"
        "    start_response('200 OK', [('Content-Length', str(64 << 20))])\n"
        "    return [b'x' * (64 << 20)]\n"
    )
    server = gunid("both:app", "--pythonpath", gate.path.parent, *arguments)
    with server.socket() as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        total = len(slow.recv(65536))
        server.wait_in_flight(0)
        blocked = [pool.submit(server.get, gate.target) for _ in range(calls)]
        server.wait_in_flight(calls)
        while chunk := slow.recv(1 << 20):
            total += len(chunk)
        assert total > 64 << 20
        gate.open()
    for request in blocked:
        assert request.result().text == "released"


def test_quick_requests_beside_blocked_ones(gunid, pool, gate):
    server = gunid("blocking:app", "--threads", "4", "--worker-connections", "50")
    connection = server.connect()
    assert exchange(connection, "GET", "/pid").status == 200
    blocked = [pool.submit(server.get, gate.target) for _ in range(3)]
    server.wait_in_flight(3)
    for _ in range(200):
        assert exchange(connection, "GET", "/pid").status == 200
        assert server.get("/pid").status == 200
    connection.close()
    gate.open()
    for request in blocked:
        assert request.result().text == "released"


def test_application_is_called_on_the_main_thread_in_a_sync_worker_only(gunid):
    def threads(server) -> set[str]:
        return {server.get().text.split(maxsplit=1)[1] for _ in range(20)}

    assert threads(gunid("meeting:app")) == {"MainThread"}
    assert not {"MainThread"} & threads(gunid("meeting:app", "--threads", "2"))


def test_gil_is_shared_with_threads_of_the_application(gunid, tmp_path):
    """A thread of the application runs on while requests come without a pause, and while none come."""
    (tmp_path / "counting.py").write_text(
        "import threading\n"
        "count = 0\n"
        "def run():\n"
        "    global count\n"
        "    while True: count += 1\n"
        "def app(environ, start_response):\n"
        "    if threading.active_count() == 1 or not started.is_set():\n"
        "        started.set()\n"
        "        threading.Thread(target=run, daemon=True).start()\n"
        "    start_response('200 OK', [])\n"
        "    return [str(count).encode()]\n"
        "started = threading.Event()\n"
    )
    for arguments in ((), ("--threads", "2")):
        server = gunid("counting:app", "--pythonpath", tmp_path, *arguments)
        before = int(server.get().text)
        counts = [int(server.get().text) for _ in range(20)]
        assert counts == sorted(counts)
        wait_until(lambda: int(server.get().text) > before + 100_000, "the thread to count")
