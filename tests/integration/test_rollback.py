"""Rollouts as transactions: new workers must prove themselves, and there is a way back."""

import os
import signal

import pytest

from server import Server
from waiting import wait_until

# Workers of it die a moment after they have become ready.
DIES_SOON = "import os, threading\nthreading.Timer(0.3, os._exit, [7]).start()\n"


def generations(server: Server) -> set[int]:
    return {worker["generation"] for worker in server.workers() if worker["state"] == "ready"}


@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["each", "preload"])
def test_rollback_returns_to_the_generation_before(serve, project, arguments):
    server = serve("-w", "2", *arguments)
    pids = server.worker_pids()
    project.answer("two")
    assert server.gunictl("reload").returncode == 0
    assert server.get().text == "two"
    assert server.status()["kept_generations"] == [1]
    assert "kept for rollback  1" in server.gunictl("status").stdout

    result = server.gunictl("rollback")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "generation 1 serves again, 2 workers are ready\n"
    # With --preload the code is that of the kept zygote; without, it is what is on the disk now.
    assert server.get().text == ("one" if arguments else "two")
    assert generations(server) == {1}
    assert not pids & server.worker_pids()
    assert any(event["type"] == "rolled_back" for event in server.read("/v1/events")["events"])

    assert server.gunictl("rollback").returncode == 0  # and forward again
    assert server.get().text == "two"
    assert generations(server) == {2}


def test_rollback_without_an_earlier_generation_is_refused(serve):
    server = serve("--keep-generations", "0")
    for _ in range(2):
        result = server.gunictl("rollback")
        assert result.returncode == 1
        assert "rollback: no earlier generation is kept" in result.stderr
        assert server.gunictl("reload").returncode == 0
    assert server.status()["kept_generations"] == []


def test_the_last_generations_are_kept(serve, project):
    server = serve("--preload", "--keep-generations", "2", "--reload-settle", "0")
    for number in range(2, 6):
        project.answer(f"answer {number}")
        assert server.gunictl("reload").returncode == 0
    assert server.status()["kept_generations"] == [4, 3]
    wait_until(lambda: len([each for each in server.processes() if each.parent == server.pid]) == 1 + 3,
               "one worker, and the zygotes of three generations")


def test_a_kept_zygote_that_dies_is_given_up_and_nothing_else_happens(serve, project):
    server = serve("--preload")
    before = {process.pid for process in server.processes()}
    assert server.gunictl("reload").returncode == 0
    workers = {worker["pid"] for worker in server.workers()}
    kept = {process.pid for process in server.processes()} & before - {server.pid} - workers
    assert len(kept) == 1
    os.kill(kept.pop(), signal.SIGKILL)
    server.log.wait_for("Generation 1 is not kept for a rollback any more")
    assert server.status()["kept_generations"] == []
    assert server.get().text == "one"


def test_a_changed_bind_leaves_no_way_back(serve, project, free_port):
    server = serve(bind=())
    project.config.write_text(f"bind = '127.0.0.1:{free_port}'\n")
    assert server.gunictl("reload").returncode == 0
    server.log.wait_for("Generation 1 is not kept for a rollback: bind has changed")
    assert server.status()["kept_generations"] == []


@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["each", "preload"])
def test_new_workers_that_die_while_they_settle_are_rolled_back(serve, project, arguments):
    server = serve("-w", "2", "--reload-settle", "20", *arguments)
    in_workers = f"import os\nos.register_at_fork(after_in_child=lambda: exec({DIES_SOON!r}))"
    project.answer("two", in_workers if arguments else DIES_SOON)
    pids = server.worker_pids()
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "exited with code 7" in result.stderr
    wait_until(
        lambda: server.status()["state"] == "serving" and generations(server) == {1},
        "generation 1 to be back",
    )
    server.wait_ready()
    assert server.worker_pids() == pids, "none of the old workers went"
    assert server.get().text == "one"
    status = server.status()
    assert status["generation"] == 1
    assert status["kept_generations"] == [], "nobody wants to go to what has failed"
    assert "exited with code 7" in status["last_error"]


def test_workers_that_die_after_all_were_replaced_bring_the_old_generation_back(serve, project):
    server = serve("-w", "2", "--preload", "--reload-settle", "2")
    project.answer("two")
    server.gunictl("reload", "--no-wait")
    wait_until(
        lambda: server.status()["progress"] == "watching the new workers", "the rollout to settle"
    )
    os.kill(min(server.worker_pids()), signal.SIGSEGV)
    server.log.wait_for("Reload failed, generation 1 comes back: .*SIGSEGV")
    wait_until(
        lambda: server.status()["state"] == "serving" and generations(server) == {1},
        "generation 1 to be back",
    )
    assert server.get().text == "one"
    assert server.status()["kept_generations"] == [], "nobody wants to go to what has failed"


def test_a_job_goes_on_without_anybody_who_waits(serve, project):
    server = serve("-w", "2")
    result = server.gunictl("reload", "--no-wait")
    assert result.returncode == 0
    assert "state      running" in result.stdout
    job = int(result.stdout.split()[1])
    wait_until(lambda: server.read(f"/v1/job?job={job}")["state"] == "done", "the reload's end")
    shown = server.gunictl("job", job)
    assert shown.returncode == 0
    assert "outcome    generation 2 serves, 2 workers are ready" in shown.stdout

    project.write("import no_such_module\n")
    response = server.api("POST", "/v1/reload", {"wait": False})
    assert response.status == 202
    job = response.json()["id"]
    wait_until(lambda: server.read(f"/v1/job?job={job}")["state"] == "failed", "its failure")
    shown = server.gunictl("job", job)
    assert shown.returncode == 1
    assert "No module named 'no_such_module'" in shown.stdout
    assert "Traceback" in shown.stdout

    missing = server.gunictl("job", 99)
    assert missing.returncode == 1
    assert missing.stderr == "gunictl: job: there is no job 99, or not any more\n"


def test_the_surge_of_a_reload(serve, project):
    server = serve("-w", "4", "--reload-surge", "4")
    project.answer("two", "import time\ntime.sleep(1)")
    server.gunictl("reload", "--no-wait")
    started = wait_until(
        lambda: [worker for worker in server.workers() if worker["generation"] == 2], "the canary"
    )
    assert len(started) == 1
    wait_until(
        lambda: [w["generation"] for w in server.workers() if w["state"] == "booting"] == [2] * 3,
        "the other three at once",
    )
    assert server.status()["progress"] == "replacing workers, 1 of 4 done"
    wait_until(lambda: generations(server) == {2}, "the new workers")


def test_a_worker_is_replaced_when_its_lifetime_is_over(serve):
    server = serve("-w", "2", "--max-worker-lifetime", "0.5")
    pids = server.worker_pids()
    server.log.wait_for(r"Worker \(pid:\d+\) exited with code 0; reason: lifetime", count=2)
    assert not pids & server.worker_pids()
    assert server.get().text == "one"


def test_a_crash_loop_is_a_state(serve, project):
    project.answer("one", "import os\nif os.path.exists('broken'): os._exit(9)")
    server = serve("-w", "2")
    (project.directory / "broken").touch()
    os.kill(min(server.worker_pids()), signal.SIGSEGV)
    server.log.wait_for("again and again")
    status = server.status()
    assert status["state"] == "crash-looping"
    assert status["workers_ready"] == 1
    assert server.get().text == "one", "the other worker serves"
    assert server.gunictl("ready").returncode == 0
    wait_until(lambda: server.status()["next_start_s"] > 0, "a pause between two starts")
    assert "next start in" in server.gunictl("status").stdout


def test_crashes_are_kept_with_what_the_worker_was_doing(serve, gunid, gate, pool):
    server = gunid("blocking:app")
    visit = pool.submit(server.get, gate.target)
    gate.wait_entered()
    pid = server.worker_pids().pop()
    os.kill(pid, signal.SIGSEGV)
    assert visit.exception() is not None
    server.log.wait_for("was killed by SIGSEGV; reason: crash")
    crash = server.read("/v1/crashes")["crashes"][0]
    assert (crash["pid"], crash["reason"]) == (pid, "crash")
    assert crash["message"] == "was killed by SIGSEGV"
    assert [request["path"] for request in crash["requests"]] == ["/fifo"]
    shown = server.gunictl("crashes").stdout
    assert "was killed by SIGSEGV; reason: crash" in shown
    assert "in flight: GET /fifo" in shown
    assert server.stats()["totals"]["stops"] == {"crash": 1}


def test_a_drain_tells_whom_it_waits_for(gunid, gate, pool):
    server = gunid("blocking:app", "--graceful-timeout", "60")
    answer = pool.submit(server.get, gate.target)
    gate.wait_entered()
    assert server.gunictl("ready").returncode == 0
    server.signal(signal.SIGTERM)
    wait_until(lambda: server.status()["state"] == "stopping", "the stop to begin")
    draining = wait_until(lambda: server.status()["draining"], "the worker to drain")
    assert draining[0]["reason"] == "shutdown"
    assert draining[0]["requests"][0]["path"] == "/fifo"
    shown = server.gunictl("status").stdout
    assert "waits for GET /fifo" in shown
    ready = server.gunictl("ready")
    assert (ready.returncode, ready.stderr) == (1, "gunictl: ready: the server is being stopped\n")
    gate.open()
    assert answer.result().status == 200
    assert server.wait_exit() == 0
