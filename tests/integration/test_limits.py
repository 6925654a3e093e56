"""Limits: --timeout for each request, --max-requests for each worker."""

from server import exchange
from waiting import wait_until


def test_timeout_is_for_each_request_not_for_the_worker(gunid):
    """Many short requests together may take longer than the timeout."""
    server = gunid("blocking:app", "--timeout", "1")
    start = server.status()["uptime_s"]
    while server.status()["uptime_s"] < start + 2:
        assert server.get("/overlap").status == 200
    assert "WORKER TIMEOUT" not in server.log.text()


def test_timeout_zero_is_no_limit(gunid, pool, gate):
    server = gunid("blocking:app", "--timeout", "0")
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    start = server.status()["uptime_s"]
    wait_until(lambda: server.status()["uptime_s"] > start + 1.5, "some time to pass")
    gate.open()
    assert client.result().text == "released"


def test_idle_worker_does_not_time_out(gunid):
    server = gunid("hello:app", "--timeout", "1")
    workers = server.worker_pids()
    wait_until(lambda: server.status()["uptime_s"] > 2.5, "longer than the timeout")
    assert server.worker_pids() == workers


def serve_counts(server, requests: int) -> dict[str, int]:
    """How many of the requests each worker answered."""
    counts: dict[str, int] = {}
    for _ in range(requests):
        response = server.get("/pid")
        assert response.status == 200
        counts[response.text] = counts.get(response.text, 0) + 1
    return counts


def test_worker_is_replaced_after_max_requests(gunid):
    server = gunid("hello:app", "--max-requests", "5")
    first = str(*server.worker_pids())
    counts = serve_counts(server, 60)
    # A worker serves on until its replacement is ready, so there may be some more than five.
    assert counts[first] >= 5
    wait_until(lambda: first not in map(str, server.worker_pids()), "the first worker to go")
    counts = serve_counts(server, 1)
    assert first not in counts
    totals = server.stats()["totals"]
    assert totals["requests"] == 61
    assert totals["workers_crashed"] == 0
    wait_until(lambda: server.stats()["totals"]["workers_exited"] >= 1, "the exit to be counted")


def test_max_requests_replaces_before_it_retires(gunid, gate, tmp_path):
    """While the replacement is being imported, the old worker serves."""
    hold = tmp_path / "hold"
    (tmp_path / "slow.py").write_text(
        f"import os\nif os.path.exists({str(hold)!r}): open({str(gate.path)!r}).read()\n"
        "from hello import app\n"
    )
    server = gunid("slow:app", "--max-requests", "3", "--pythonpath", tmp_path)
    first = str(*server.worker_pids())
    hold.touch()
    for _ in range(3):
        server.get()
    gate.wait_entered()
    assert serve_counts(server, 10) == {first: 10}
    hold.unlink()
    gate.open()
    wait_until(lambda: first not in map(str, server.worker_pids()), "the first worker to go")
    assert first not in serve_counts(server, 1)


def test_max_requests_jitter(gunid):
    server = gunid("hello:app", "-w", "4", "--max-requests", "10", "--max-requests-jitter", "20")
    first = {str(pid) for pid in server.worker_pids()}
    counts: dict[str, int] = {}

    def all_replaced() -> bool:
        for pid, count in serve_counts(server, 10).items():
            counts[pid] = counts.get(pid, 0) + count
        return not first & {str(worker["pid"]) for worker in server.workers()}

    wait_until(all_replaced, "every first worker to be replaced")
    assert all(counts[pid] >= 10 for pid in first)
    assert len({counts[pid] for pid in first}) > 1, "every worker got the same limit"


def test_max_requests_resets_no_kept_connection(gunid):
    server = gunid("hello:app", "--threads", "2", "--max-requests", "5")
    connection = server.connect()
    pids = set()
    while len(pids) < 4:
        # http.client connects anew only when the response said Connection: close.
        pids.add(exchange(connection, "GET", "/pid").text)
    connection.close()
    assert server.stats()["totals"]["workers_crashed"] == 0
