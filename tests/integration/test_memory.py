"""Memory of workers: what they share, and --max-worker-memory."""

import pytest

from programs import APPS, GUNID, run, sanitized
from waiting import wait_until

# A sanitizer's shadow memory is most of a process, and moves as it likes.
pytestmark = pytest.mark.skipif(sanitized(), reason="a sanitizer's own memory")


def test_preloaded_workers_share_their_memory(gunid):
    server = gunid("django_app:application", "-w", "8", "--preload")
    for _ in range(16):
        assert server.get().status == 200
    stats = server.stats()
    assert len(stats["workers"]) == 8
    for worker in stats["workers"]:
        assert 0 < worker["private_bytes"] <= worker["pss_bytes"] < worker["rss_bytes"]
    assert stats["rss_bytes"] == sum(worker["rss_bytes"] for worker in stats["workers"])
    assert stats["pss_bytes"] == sum(worker["pss_bytes"] for worker in stats["workers"])
    assert stats["memory_saved_bytes"] == stats["rss_bytes"] - stats["pss_bytes"]
    assert stats["pss_bytes"] < 0.5 * stats["rss_bytes"]
    header, *rows = server.gunictl("workers").stdout.splitlines()
    assert "PSS" in header.split()
    assert all("MiB" in row for row in rows)
    assert "saved by sharing" in server.gunictl("stats").stdout


def pss(server, pid: int) -> int:
    return next(each["pss_bytes"] for each in server.workers() if each["pid"] == pid)


def test_a_worker_over_the_limit_is_replaced_first(gunid):
    server = gunid("growing:app", "-w", "1")
    base = pss(server, server.get().json()) >> 20
    assert server.stop() == 0

    server = gunid("growing:app", "-w", "2", "--max-worker-memory", f"{base + 60}M")
    pid = server.get("/grow?megabytes=65").json()
    server.log.wait_for(rf"Worker \d+ \(pid:{pid}\) has \d+ MiB of memory \(PSS\), the limit is "
                        rf"{base + 60} MiB: it is to be replaced")
    server.log.wait_for(rf"Worker \(pid:{pid}\) exited with code 0; reason: memory")
    log = server.log.text()
    replacement = log.index("Booting worker", log.index("it is to be replaced"))
    assert replacement < log.index(f"Worker exiting (pid: {pid})")
    server.wait_ready(2)
    assert server.stats()["totals"]["stops"] == {"memory": 1}
    assert any(event["type"] == "memory_limit" for event in server.read("/v1/events")["events"])


def test_a_worker_far_over_the_limit_goes_at_once(gunid, pool):
    server = gunid("growing:app", "-w", "1", "--threads", "2", "--max-worker-memory", "60M")
    pid = server.get().json()
    held = pool.submit(server.raw, b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_in_flight(1)
    assert server.get("/grow?megabytes=100").json() == pid
    server.log.wait_for(rf"\(pid:{pid}\) has 1\d\d MiB of memory \(PSS\), the limit is 60 MiB, and it "
                        r"goes at once; lost with it: GET /hold")
    server.log.wait_for(rf"Worker \(pid:{pid}\) .*; reason: memory")
    held.exception() or held.result()
    server.wait_ready(1)
    assert server.get().json() != pid


def test_a_limit_below_what_a_worker_begins_with_is_told_and_replaces_nobody(gunid):
    server = gunid("growing:app", "-w", "1", "--preload", "--max-worker-memory", "2M")
    server.log.wait_for(r"has \d+ MiB of memory \(PSS\), the limit is 2 MiB, and it has served nothing "
                        r"yet: the limit is too low")
    pid = server.get().json()
    server.get("/grow?megabytes=100")
    server.log.wait_for(rf"Worker \(pid:{pid}\) .*; reason: memory")
    server.wait_ready(1)
    assert server.get().json() != pid


def test_the_limit_may_change_at_a_reload(gunid, tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("reload_settle = 0\n")
    server = gunid("growing:app", "-c", config, "-w", "1")
    config.write_text("reload_settle = 0\nmax_worker_memory = '100M'\n")
    assert server.gunictl("reload").returncode == 0
    pid = server.get("/grow?megabytes=200").json()
    server.log.wait_for(rf"Worker \(pid:{pid}\) .*; reason: memory")
    wait_until(lambda: server.worker_pids() - {pid}, "the replacement")


@pytest.mark.parametrize("value", ["lots", "5X", "-1", "1.5G", "M", "99999999999G"])
def test_what_is_no_number_of_bytes_is_refused(value):
    start = run(GUNID, "hello:app", f"--max-worker-memory={value}", cwd=APPS)
    assert start.returncode == 2
    assert f"invalid value '{value}' for max_worker_memory (command line)" in start.stderr
    assert "expected a number of bytes, as 1073741824, 512M or 2G" in start.stderr
