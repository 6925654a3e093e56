"""Supervision: processes, readiness, replacement, back-off, parent death, and the signals."""

import os
from signal import SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSEGV, SIGSTOP, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1
from signal import SIGWINCH

import pytest

from processes import Process, children
from programs import run
from server import read_all
from waiting import wait_until


def wait_replaced(server, pid: int) -> None:
    """Waits until all wanted workers are ready and the one with that pid is gone."""
    wait_until(lambda: not Process(pid).is_alive, f"worker {pid} to die")
    wait_until(
        lambda: len(server.worker_pids() - {pid}) == server.status()["workers_wanted"],
        f"a replacement of worker {pid}",
    )


def refuses_connections(server) -> bool:
    try:
        server.socket().close()
    except ConnectionRefusedError:
        return True
    return False


def logged_pids(server, pattern: str) -> set[int]:
    return {int(match[1]) for match in server.log.matches(pattern)}


# Processes


def test_workers_are_children_of_the_supervisor(gunid):
    server = gunid("hello:app", "-w", "3")
    workers = server.worker_pids()
    assert len(workers) == 3
    assert {Process(pid).parent for pid in workers} == {server.pid}
    assert {Process(pid).program.name for pid in workers} == {"gunid-worker"}
    zygotes = children(server.pid) - {Process(pid) for pid in workers}
    assert [zygote.program.name for zygote in zygotes] == ["gunid-worker"]
    assert server.processes() == children(server.pid) | {Process(server.pid)}


def test_log_of_a_life(gunid):
    server = gunid("hello:app", "-w", "2")
    pids = server.worker_pids()
    assert logged_pids(server, r"Booting worker with pid: (\d+)") == pids
    assert server.stop() == 0
    server.log.wait_for("Handling signal: term")
    server.log.wait_for("Shutting down")
    assert logged_pids(server, r"Worker exiting \(pid: (\d+)\)") == pids


def test_worker_is_ready_when_its_application_is(gunid, gate, tmp_path):
    (tmp_path / "slow.py").write_text(f"open({str(gate.path)!r}).read()\nfrom hello import app\n")
    server = gunid("slow:app", "--pythonpath", tmp_path, ready=False)
    gate.wait_entered()
    assert server.status()["workers_ready"] == 0
    assert [worker["state"] for worker in server.workers()] == ["booting"]
    gate.open()
    server.wait_ready(1)
    assert server.get().text == "hello"


# Death of a worker


@pytest.mark.parametrize("number", [SIGKILL, SIGSEGV], ids=lambda number: number.name)
def test_dead_worker_is_replaced(gunid, number):
    server = gunid("hello:app", "-w", "2")
    victim, other = sorted(server.worker_pids())
    os.kill(victim, number)
    wait_replaced(server, victim)
    assert other in server.worker_pids()
    assert {server.get().status for _ in range(10)} == {200}
    assert server.log.matches(rf"\(pid:? ?{victim}\).*{number.name}")
    totals = server.stats()["totals"]
    assert totals["workers_spawned"] == 3
    assert totals["workers_exited"] == totals["workers_crashed"] == 1


def test_worker_that_the_application_ends_is_replaced(gunid):
    server = gunid("blocking:app")
    victim = int(server.get("/pid").text)
    with server.socket() as client:
        client.sendall(b"GET /die HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_all(client) == b""
    wait_replaced(server, victim)
    assert int(server.get("/pid").text) in server.worker_pids()


def test_dead_children_are_reaped(gunid):
    server = gunid("hello:app", "-w", "2")
    for _ in range(3):
        victim = min(server.worker_pids())
        os.kill(victim, SIGKILL)
        wait_replaced(server, victim)
    wait_until(lambda: len(children(server.pid)) == 3, "no child but the zygote and two workers")
    assert "Z" not in {child.state for child in children(server.pid)}


def test_worker_that_keeps_dying_is_started_more_and_more_slowly(gunid, tmp_path):
    broken = tmp_path / "broken"
    (tmp_path / "fragile.py").write_text(
        f"import os\nif os.path.exists({str(broken)!r}): os._exit(9)\nfrom hello import app\n"
    )
    server = gunid("fragile:app", "--pythonpath", tmp_path)
    broken.touch()
    start = server.log.mark()
    os.kill(min(server.worker_pids()), SIGKILL)
    server.log.wait_for("Booting worker", count=4, start=start)
    times = server.log.times("Booting worker", start)
    gaps = [after - before for before, after in zip(times, times[1:4])]
    assert gaps[-1] > 0.5, gaps
    assert gaps[-1] > gaps[0], gaps
    assert server.process.poll() is None
    broken.unlink()
    server.wait_ready()
    assert server.get().text == "hello"


def test_killed_zygote_harms_no_worker(gunid):
    server = gunid("hello:app", "-w", "2")
    workers = server.worker_pids()
    (zygote,) = children(server.pid) - {Process(pid) for pid in workers}
    os.kill(zygote.pid, SIGKILL)
    wait_until(lambda: not zygote.is_alive, "the zygote to die")
    assert {server.get().text for _ in range(10)} == {"hello"}
    assert server.worker_pids() == workers
    assert server.gunictl("scale", "3").returncode == 0
    assert len(server.worker_pids()) == 3


# Death of the supervisor


@pytest.mark.parametrize("arguments", [(), ("--threads", "2"), ("--preload",)], ids=str)
def test_killed_supervisor_leaves_no_process(gunid, arguments, pool):
    server = gunid("blocking:app", "-w", "3", *arguments)
    stuck = pool.submit(server.get, "/sleep")
    server.wait_in_flight(1)
    port = server.port
    server.signal(SIGKILL)
    assert server.wait_exit() == -SIGKILL
    server.wait_gone()
    assert stuck.exception() is not None
    again = gunid("hello:app", bind=(f"127.0.0.1:{port}",))
    assert again.get().text == "hello"


def test_supervisor_that_is_killed_while_workers_boot_leaves_no_process(gunid, gate, tmp_path):
    (tmp_path / "slow.py").write_text(f"open({str(gate.path)!r}).read()\nfrom hello import app\n")
    server = gunid("slow:app", "-w", "2", "--pythonpath", tmp_path, ready=False)
    gate.wait_entered()
    server.signal(SIGKILL)
    server.wait_exit()
    server.wait_gone()


# TERM, INT, QUIT


@pytest.mark.parametrize("arguments", [(), ("--threads", "2")], ids=["sync", "threads"])
def test_term_finishes_requests_in_flight(gunid, pool, gate, arguments):
    server = gunid("blocking:app", "-w", "2", *arguments)
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    server.signal(SIGTERM)
    server.log.wait_for("Handling signal: term")
    wait_until(lambda: refuses_connections(server), "new connections to be refused")
    assert server.process.poll() is None
    gate.open()
    assert client.result().text == "released"
    assert server.wait_exit() == 0


def test_term_does_not_wait_for_idle_connections(gunid):
    never = ("--keep-alive", "1000", "--graceful-timeout", "1000")
    server = gunid("hello:app", "--threads", "2", *never)
    with server.socket() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(4096)
        assert server.stop() == 0


def test_term_waits_no_longer_than_the_graceful_timeout(gunid, pool):
    server = gunid("blocking:app", "--graceful-timeout", "1")
    client = pool.submit(server.get, "/sleep")
    server.wait_in_flight(1)
    assert server.stop() == 0
    assert client.exception() is not None


@pytest.mark.parametrize("number", [SIGINT, SIGQUIT], ids=lambda number: number.name)
@pytest.mark.parametrize("target", ["/sleep", "/spin"])
@pytest.mark.parametrize("arguments", [(), ("--threads", "2")], ids=["sync", "threads"])
def test_int_and_quit_stop_at_once(gunid, pool, number, target, arguments):
    server = gunid("blocking:app", "--graceful-timeout", "1000", "--timeout", "1000", *arguments)
    client = pool.submit(server.get, target)
    server.wait_in_flight(1)
    server.signal(number)
    assert server.wait_exit() == 0
    assert client.exception() is not None
    server.log.wait_for(f"Handling signal: {number.name[3:].lower()}")


def test_int_hurries_a_graceful_stop(gunid, pool):
    server = gunid("blocking:app", "--graceful-timeout", "1000", "--timeout", "1000")
    pool.submit(server.get, "/sleep")
    server.wait_in_flight(1)
    server.signal(SIGTERM)
    server.log.wait_for("Handling signal: term")
    server.signal(SIGINT)
    assert server.wait_exit() == 0


def test_ctrl_c_reaches_the_whole_process_group(gunid):
    server = gunid("hello:app", "-w", "2")
    os.killpg(server.pid, SIGINT)
    assert server.wait_exit() == 0
    server.wait_gone()
    assert "Traceback" not in server.log.text()


def test_stop_while_workers_boot(gunid, gate, tmp_path):
    (tmp_path / "slow.py").write_text(f"open({str(gate.path)!r}).read()\nfrom hello import app\n")
    server = gunid("slow:app", "--pythonpath", tmp_path, ready=False)
    gate.wait_entered()
    server.signal(SIGINT)
    assert server.wait_exit() == 0


# TTIN, TTOU


def test_ttin_and_ttou_scale_by_one(gunid):
    server = gunid("hello:app")
    for number, workers in [(SIGTTIN, 2), (SIGTTIN, 3), (SIGTTOU, 2), (SIGTTOU, 1)]:
        server.signal(number)
        server.log.wait_for(f"Handling signal: {number.name[3:].lower()}")
        wait_until(lambda: len(server.workers()) == workers, f"{workers} workers")
        server.wait_ready(workers)
    start = server.log.mark()
    server.signal(SIGTTOU)
    server.log.wait_for("Handling signal: ttou", start=start)
    assert server.status()["workers_wanted"] == 1
    assert server.get().text == "hello"


# USR1, and signals that must not hurt


def test_usr1_opens_the_log_file_again(gunid, tmp_path):
    log = tmp_path / "error.log"
    server = gunid("wsgi_probe:app", "--error-logfile", log)
    url = server.status()["listeners"][0]["address"]
    log.rename(tmp_path / "error.log.1")
    server.signal(SIGUSR1)
    wait_until(log.exists, "the new log file")
    # Workers are told by the supervisor, so theirs comes a moment later.

    def worker_writes_to_it() -> bool:
        run("curl", "-sS", f"{url}/raise")
        return "the application failed" in log.read_text()

    wait_until(worker_writes_to_it, "a worker's line in the new file")


@pytest.mark.parametrize("number", [SIGPIPE, SIGWINCH], ids=lambda number: number.name)
def test_harmless_signal(gunid, number):
    server = gunid("hello:app")
    workers = server.worker_pids()
    server.signal(number)
    assert server.get().text == "hello"
    assert server.worker_pids() == workers


@pytest.mark.parametrize("number", [SIGTTIN, SIGTTOU, SIGWINCH], ids=lambda number: number.name)
def test_worker_ignores_signals_for_the_supervisor(gunid, number):
    server = gunid("hello:app")
    (worker,) = server.worker_pids()
    os.kill(worker, number)
    assert {server.get("/pid").text for _ in range(5)} == {str(worker)}


def test_term_to_a_worker_retires_it_gracefully(gunid, pool, gate):
    server = gunid("blocking:app")
    (worker,) = server.worker_pids()
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    os.kill(worker, SIGTERM)
    gate.open()
    assert client.result().text == "released"
    wait_replaced(server, worker)


# --preload


@pytest.mark.parametrize(
    "arguments, imports", [((), 3), (("--preload",), 1)], ids=["each", "preload"]
)
def test_preload_imports_the_application_once(gunid, tmp_path, arguments, imports):
    (tmp_path / "counted.py").write_text(
        "import os\n"
        f"with open({str(tmp_path / 'imports')!r}, 'a') as file: print(os.getpid(), file=file)\n"
        "from hello import app\n"
    )
    server = gunid("counted:app", "-w", "3", "--pythonpath", tmp_path, *arguments)
    pids = {int(pid) for pid in (tmp_path / "imports").read_text().split()}
    assert len(pids) == imports
    if arguments:
        assert not pids & server.worker_pids()
    else:
        assert pids == server.worker_pids()
    assert int(server.get("/pid").text) in server.worker_pids()


def test_preloaded_application_may_start_threads_in_workers(gunid, pool):
    server = gunid("blocking:app", "--preload", "--threads", "2")
    clients = [pool.submit(server.get, "/meet") for _ in range(2)]
    assert [client.result().text for client in clients] == ["met", "met"]


def test_zygote_that_does_not_answer_is_replaced(gunid):
    server = gunid("hello:app")
    workers = {Process(pid) for pid in server.worker_pids()}
    (zygote,) = children(server.pid) - workers
    os.kill(zygote.pid, SIGSTOP)
    result = server.gunictl("scale", "2")
    assert result.returncode == 1
    assert "does not fork workers any more" in result.stderr
    assert not zygote.is_alive
    server.wait_ready(2)
    assert workers <= {Process(pid) for pid in server.worker_pids()}
