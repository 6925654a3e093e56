"""Clients that are slow, silent or never done: they hold no worker, and no one waits for them."""

import http.client
import time

import pytest

from crowd import Crowd
from programs import sanitized
from server import Server, exchange

CROWD = {"head": 200, "body": 50, "reader": 50, "idle": 1000}
VISIT_SECONDS = 4


def visit(port: int, seconds: float) -> list[float]:
    """Requests one after the other for a while; returns how many milliseconds each took."""
    latencies = []
    begin = now = time.perf_counter()
    while now < begin + seconds:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        assert exchange(connection, "GET", "/").status == 200
        connection.close()
        before, now = now, time.perf_counter()
        latencies.append((now - before) * 1000)
    return latencies


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@pytest.fixture(scope="module", params=[(), ("--threads", "2")], ids=["sync", "threads"])
def server(request, module_gunid) -> Server:
    return module_gunid("streams:app", "-w", "2", *request.param)


def test_normal_client_among_slow_and_silent_ones(server, record_property):
    workers = server.worker_pids()
    with Crowd(server.port, **CROWD) as crowd:
        latencies = visit(server.port, VISIT_SECONDS)
        report = crowd.leave()
    for percent in (50, 99, 100):
        record_property(f"p{percent} ms", round(percentile(latencies, percent), 1))
    record_property("requests", len(latencies))
    assert {kind: told["connected"] for kind, told in report.items()} == CROWD
    assert [any(report[kind]["received"]) for kind in ("head", "body", "idle")] == [False] * 3
    assert min(report["reader"]["received"]) > 10_000, "a slow reader was not served"
    # A sanitizer build is slower, by as much as the sanitizer likes.
    assert percentile(latencies, 99) < (1000 if sanitized() else 50)
    assert server.worker_pids() == workers
    server.wait_in_flight(0)


