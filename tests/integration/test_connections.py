"""Many connections: what an idle one costs, how many a worker takes, and which worker gets them."""

import os
import resource
import socket
import time
from typing import Iterator

import pytest

from crowd import Crowd
from processes import Process
from programs import sanitized
from server import Gate, Server, exchange, read_all
from waiting import wait_until

IDLE_CONNECTIONS = 10_000
PATIENCE = 10.0  # seconds until a request that could run must have begun
HELLO = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """For this process and those that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < IDLE_CONNECTIONS + 1000:
        pytest.skip(f"a process may have only {before[1]} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def cpu_seconds(pid: int) -> float:
    user, system = Process(pid).stat[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def private_memory(pid: int) -> int:
    return Process(pid).memory("Private_Dirty", "smaps_rollup")


def test_ten_thousand_idle_connections(gunid, many_descriptors, record_property):
    server = gunid("hello:app", "-k", "gthread", "--threads", "2", "--keep-alive", "60",
                   "--worker-connections", IDLE_CONNECTIONS + 1000)
    (worker,) = server.worker_pids()
    for _ in range(10):
        server.get()
    memory_before = private_memory(worker)
    with Crowd(server.port, kept=IDLE_CONNECTIONS) as crowd:
        memory = (private_memory(worker) - memory_before) / IDLE_CONNECTIONS
        cpu_before = cpu_seconds(worker)
        time.sleep(3)
        cpu = cpu_seconds(worker) - cpu_before
        assert server.get().text == "hello"
        assert crowd.leave()["kept"]["connected"] == IDLE_CONNECTIONS
    record_property("bytes per connection", round(memory))
    record_property("CPU s in 3 s", round(cpu, 2))
    assert memory < 4096 or sanitized()
    assert cpu < 0.1 or sanitized()
    assert server.worker_pids() == {worker}


# --worker-connections


@pytest.fixture
def bounded(gunid) -> Server:
    return gunid("hello:app", "--threads", "2", "--keep-alive", "60", "--worker-connections", "5")


def test_connection_beyond_the_bound_is_served_when_one_leaves(bounded):
    kept = [bounded.connect() for _ in range(5)]
    for connection in kept:
        assert exchange(connection, "GET", "/").text == "hello"
    with bounded.socket(timeout=0.5) as waiting:  # the system completes it; it is in the backlog
        waiting.sendall(HELLO)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        assert bounded.stats()["totals"]["connections"] == 5
        for connection in kept:
            assert exchange(connection, "GET", "/").text == "hello"
        kept.pop().close()
        waiting.settimeout(20)
        assert waiting.recv(4096).startswith(b"HTTP/1.1 200 ")
    for connection in kept:
        connection.close()


def test_many_clients_within_a_small_bound(bounded, pool):
    clients = [pool.submit(bounded.get, headers={"Connection": "close"}) for _ in range(100)]
    assert {client.result().text for client in clients} == {"hello"}
    assert bounded.stats()["totals"]["connections"] == 100


# Which worker gets a request


SHAPES = pytest.mark.parametrize(
    "workers, threads, worker_class",
    [(4, 1, "sync"), (4, 2, "gthread"), (2, 4, "gthread")],
    ids=["4 sync", "4 x 2 threads", "2 x 4 threads"],
)
ROUNDS = range(5)  # what goes wrong by a bad moment seldom does so at once


@SHAPES
def test_no_request_waits_while_a_worker_has_room(gunid, tmp_path, workers, threads, worker_class):
    """Twice as many requests as places: half of them run, and each that ends lets one follow."""
    server = gunid("blocking:app", "-w", workers, "-k", worker_class, "--threads", threads)
    places = workers * threads
    for _ in ROUNDS:
        gates = [Gate(tmp_path) for _ in range(2 * places)]
        clients = [ask(server.socket(), gate) for gate in gates]
        wait_until(lambda: count_entered(gates) == places, "all places to be taken", PATIENCE)
        assert [worker["in_flight"] for worker in server.workers()] == [threads] * workers
        running = [gate for gate in gates if gate.is_entered()]
        waiting = [gate for gate in gates if gate not in running]
        # One worker after the other: it is idle then unless it takes from what all share.
        for number, gate in enumerate(sorted(running, key=lambda gate: reader(gate, server)), 1):
            gate.open()
            wait_until(lambda: count_entered(waiting) == number, "the next request", PATIENCE)
        finish(waiting, clients)


@SHAPES
def test_connections_that_are_opened_ahead(gunid, tmp_path, workers, threads, worker_class):
    """As browsers do: one worker must not get all of them, and then run one request at a time."""
    server = gunid("blocking:app", "-w", workers, "-k", worker_class, "--threads", threads)
    for _ in ROUNDS:
        gates = [Gate(tmp_path) for _ in range(workers * threads)]
        clients = [server.socket() for _ in gates]
        for client, gate in zip(clients, gates):
            ask(client, gate)
        wait_until(lambda: count_entered(gates) == len(gates), "all places to be taken", PATIENCE)
        finish(gates, clients)


def ask(client: socket.socket, gate: Gate) -> socket.socket:
    client.sendall(f"GET {gate.target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return client


def finish(gates: list[Gate], clients: list[socket.socket]) -> None:
    for gate in gates:
        gate.open()
    for client in clients:
        assert read_all(client).endswith(b"released")
        client.close()


def count_entered(gates: list[Gate]) -> int:
    return sum(gate.is_entered() for gate in gates)


def reader(gate: Gate, server: Server) -> int:
    """The worker that runs the request: a moment after the FIFO is open, its process has it."""

    def find() -> int | None:
        pids = server.worker_pids()
        return next((pid for pid in pids if Process(pid).has_open(gate.path)), None)

    return wait_until(find, "a worker to have the FIFO")
