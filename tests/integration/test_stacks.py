"""Python stacks from outside: of requests that are overdue or slow, of whole workers, of what does not boot."""

import os
import re
import signal

import pytest

from processes import Process
from waiting import wait_until

FUNCTIONS = ["loop", "sleep", "receive", "lock", "hold_gil"]
CLASSES = pytest.mark.parametrize("arguments", [(), ("--threads", "2")], ids=["sync", "threads"])


@pytest.fixture
def hanging(gunid, tmp_path):
    """hanging(...) starts a server with tests/apps/hanging.py, or with another from tmp_path."""

    def start(*arguments, app="hanging:app", **options):
        return gunid(app, "--pythonpath", tmp_path, *arguments, **options)

    return start


def events(server, kind: str) -> list[dict]:
    return [event for event in server.read("/v1/events")["events"] if event["type"] == kind]


def block_below(server, pattern: str) -> list[str]:
    """The lines of the log that follow the first that matches, up to the next record."""
    lines = iter(server.log.text().splitlines())
    next(line for line in lines if re.search(pattern, line))
    block = []
    for line in lines:
        if line.startswith("["):
            break
        block.append(line)
    return block


@CLASSES
@pytest.mark.parametrize("function", FUNCTIONS)
def test_overdue_request_is_named_with_the_stack_of_its_thread(hanging, pool, arguments, function):
    server = hanging("--timeout", "1", *arguments)
    (worker,) = server.workers()
    pool.submit(server.get, f"/{function}?secret=1")
    (event,) = wait_until(lambda: events(server, "request_timeout"), "the deadline")
    line = server.log.wait_for(
        rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker['pid']}\): GET /{function} has run for "
        r"(\d+\.\d) s, timeout is 1 s \(request (\d+-\d+), thread (\d+), client 127\.0\.0\.1\)$"
    )
    assert 1.0 <= float(line[1]) < 10
    assert os.path.isdir(f"/proc/{worker['pid']}/task/{line[3]}") or not Process(
        worker["pid"]
    ).is_alive
    stack = block_below(server, "WORKER TIMEOUT")
    assert re.match(rf'  File ".*hanging\.py", line \d+ in {function}$', stack[0])
    assert re.match(r'  File ".*hanging\.py", line \d+ in app$', stack[1])
    assert len(stack) == 2, "the stack of one thread"

    assert event["worker"] == worker["id"]
    assert event["pid"] == worker["pid"]
    assert event["request"] == line[2]
    assert event["detail"].splitlines() == stack
    assert event["message"] in line[0]
    assert server.stats()["totals"]["timeouts"] == 1
    assert "secret" not in server.log.text()


def test_requests_that_are_overdue_together_get_their_own_stacks(hanging, pool):
    server = hanging("--timeout", "1", "--threads", "4")
    for function in ("sleep", "receive", "lock"):
        pool.submit(server.get, f"/{function}")
    reported = wait_until(
        lambda: len(found := events(server, "request_timeout")) == 3 and found, "three deadlines"
    )
    for event in reported:
        function = re.search(r"GET /(\w+)", event["message"])[1]
        assert event["detail"].splitlines()[0].endswith(f" in {function}")
    assert len({event["request"] for event in reported}) == 3


@CLASSES
def test_slow_request_is_logged_once_while_it_runs(hanging, pool, gate, arguments):
    server = hanging("--slow-request", "0.2", *arguments)
    client = pool.submit(server.get, f"/fifo?fifo={gate.path}")
    (event,) = wait_until(lambda: events(server, "request_slow"), "the threshold")
    server.log.wait_for(r"\[WARNING\] Slow request \(pid:\d+\): GET /fifo has run for 0\.\d s ")
    assert block_below(server, "Slow request")[0].endswith(" in fifo")
    assert event["detail"].splitlines()[0].endswith(" in fifo")
    start = server.status()["uptime_s"]
    wait_until(lambda: server.status()["uptime_s"] > start + 0.5, "several looks")
    gate.open()
    assert client.result().text == "released"
    assert len(events(server, "request_slow")) == 1
    assert server.stats()["totals"]["timeouts"] == 0


def test_slow_request_is_a_live_setting(hanging, pool, gate, tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("slow_request = 0\n")
    server = hanging("-c", config)
    config.write_text("slow_request = 0.1\n")
    assert server.api("POST", "/v1/reload").status == 200
    client = pool.submit(server.get, f"/fifo?fifo={gate.path}")
    wait_until(lambda: events(server, "request_slow"), "the threshold")
    gate.open()
    assert client.result().status == 200


def test_requests_are_listed_the_oldest_first(hanging, pool, gate):
    server = hanging("--threads", "2", "-w", "2")
    first = pool.submit(server.get, f"/fifo?fifo={gate.path}")
    gate.wait_entered()
    pool.submit(server.get, "/sleep")
    server.wait_in_flight(2)
    older, younger = server.read("/v1/requests")["requests"]
    workers = {worker["id"]: worker["pid"] for worker in server.workers()}
    for request, path in ((older, "/fifo"), (younger, "/sleep")):
        assert (request["method"], request["path"]) == ("GET", path)
        assert request["state"] == "running"
        assert request["client"] == "127.0.0.1"
        assert request["pid"] == workers[request["worker"]]
        assert request["id"].startswith(f"{request['worker']}-")
        assert os.path.isdir(f"/proc/{request['pid']}/task/{request['thread']}")
    assert older["age_s"] >= younger["age_s"] >= 0
    gate.open()
    assert first.result().status == 200
    server.wait_in_flight(1)
    assert [r["path"] for r in server.read("/v1/requests")["requests"]] == ["/sleep"]


@CLASSES
@pytest.mark.parametrize("function", ["sleep", "hold_gil"])
def test_stack_of_a_worker(hanging, pool, arguments, function):
    server = hanging(*arguments)
    (worker,) = server.workers()
    pool.submit(server.get, f"/{function}")
    server.wait_in_flight(1)
    (request,) = server.read("/v1/requests")["requests"]

    def busy() -> dict:
        """The thread that serves, once it has reached the function."""
        stacks = server.read(f"/v1/stack?worker={worker['id']}")
        assert (stacks["worker"], stacks["pid"]) == (worker["id"], worker["pid"])
        assert all(re.fullmatch(r"Thread 0x[0-9a-f]+", t["thread"]) for t in stacks["threads"])
        return next((t for t in stacks["threads"] if f" in {function}" in t["stack"]), None)

    assert wait_until(busy, "the function")["request"] == request["id"]
    assert server.read(f"/v1/stack?worker={worker['pid']}")["pid"] == worker["pid"], "also by pid"


def test_stack_of_nobody(hanging):
    server = hanging()
    for number in (999, server.pid):
        response = server.api("GET", f"/v1/stack?worker={number}")
        assert response.status == 404
        assert response.json()["error"]["code"] == "no_such_worker"


def test_stack_of_a_stopped_process_is_an_error_and_holds_up_nobody(hanging):
    server = hanging()
    (worker,) = server.workers()
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        response = server.api("GET", f"/v1/stack?worker={worker['id']}")
    finally:
        os.kill(worker["pid"], signal.SIGCONT)
    assert response.status == 500
    assert response.json()["error"]["code"] == "no_stack"
    assert server.read(f"/v1/stack?worker={worker['id']}")["threads"]


def test_nobody_dies_of_the_signal_that_asks_for_stacks(hanging):
    server = hanging("-w", "2")
    before = server.processes()
    assert len(before) == 4, "supervisor, zygote, two workers"
    for process in before:
        if process.pid != server.pid:
            os.kill(process.pid, signal.SIGRTMIN + 2)
    assert {server.get().status for _ in range(10)} == {200}
    assert server.api("POST", "/v1/scale", {"workers": 3}).status == 200, "the zygote forks"
    assert server.processes() >= before


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["worker", "zygote"])
@pytest.mark.parametrize("wait", ["loop({})", "hold_gil({})"])
def test_boot_that_hangs_shows_its_stack(hanging, tmp_path, preload, wait):
    (tmp_path / "stuck.py").write_text(f"from hanging import *\n{wait}\n")
    server = hanging("--boot-timeout", "1", *preload, app="stuck:app", ready=False)
    assert server.wait_exit() == 3
    log = server.log.text()
    assert "within boot_timeout" in log
    assert re.search(r'File ".*stuck\.py", line 2 in <module>', log)
    assert "SIGABRT" not in log


def test_configuration_that_hangs_shows_its_stack(hanging, tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("import time\ntime.sleep(3600)\n")
    server = hanging("--boot-timeout", "1", "-c", config, ready=False)
    assert server.wait_exit() == 3
    assert "the configuration was not loaded within boot_timeout" in server.log.text()
    assert re.search(r'File ".*conf\.py", line 2 in <module>', server.log.text())


def test_zygote_that_had_no_time_to_start_is_a_failed_boot(hanging):
    """The question for its stacks comes before there is a Python to answer it."""
    server = hanging("--boot-timeout", "0.001", ready=False)
    assert server.wait_exit() == 3
    assert "within boot_timeout" in server.log.text()


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["worker", "zygote"])
def test_reload_that_hangs_tells_its_stack_everywhere(hanging, tmp_path, preload):
    app = tmp_path / "release.py"
    app.write_text("from hanging import *\n")
    server = hanging("--boot-timeout", "2", *preload, app="release:app")
    app.write_text("from hanging import *\nsleep({})\n")
    response = server.api("POST", "/v1/reload")
    assert response.status == 500
    error = response.json()["error"]
    assert "within boot_timeout" in error["message"]
    assert re.search(r'release\.py", line 2 in <module>', error["detail"])
    (event,) = events(server, "reload_failed")
    assert (event["message"], event["detail"]) == (error["message"], error["detail"])
    assert server.get().status == 200


def test_events_tell_what_has_happened_in_order(hanging, pool):
    server = hanging()
    waiting = pool.submit(server.read, "/v1/events?after=1")
    assert server.api("POST", "/v1/scale", {"workers": 2}).status == 200
    assert [event["type"] for event in waiting.result()["events"]] == ["scaled"]
    (worker, _) = server.workers()
    os.kill(worker["pid"], signal.SIGKILL)
    assert server.api("POST", "/v1/reload").status == 200
    wait_until(lambda: len(events(server, "worker_exited")) == 3, "the old workers to go")
    kept = server.read("/v1/events")["events"]
    assert [event["id"] for event in kept] == list(range(1, len(kept) + 1))
    assert [event["time"] for event in kept] == sorted(event["time"] for event in kept)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", kept[0]["time"])
    assert [event["type"] for event in kept][:3] == ["worker_ready", "scaled", "worker_ready"]
    assert events(server, "reloaded")[0]["message"] == "Generation 2 serves: 2 workers are ready"
    crash = next(event for event in kept if event["type"] == "worker_exited")
    assert crash["pid"] == worker["pid"]
    assert crash["message"] == (
        f"Worker {worker['id']} (pid:{worker['pid']}) was killed by SIGKILL; reason: operator"
    )


def test_events_can_be_followed_into_the_stop(hanging, pool, gate):
    server = hanging()
    client = pool.submit(server.get, f"/fifo?fifo={gate.path}")
    gate.wait_entered()
    last = server.read("/v1/events")["events"][-1]["id"]
    waiting = pool.submit(server.read, f"/v1/events?after={last}")
    server.signal(signal.SIGTERM)
    (event,) = waiting.result()["events"]
    assert (event["id"], event["type"]) == (last + 1, "stopping")
    gate.open()
    assert client.result().status == 200
    assert server.wait_exit() == 0


@pytest.mark.parametrize("arguments", [(), ("--threads", "2", "--graceful-timeout", "2")],
                         ids=["sync", "threads"])
def test_request_that_does_not_end_costs_its_worker(hanging, pool, arguments):
    server = hanging("--timeout", "1", *arguments)
    (old,) = server.workers()
    pool.submit(server.get, "/stubborn")
    (given_up,) = wait_until(lambda: events(server, "request_abandoned"), "it to be given up")
    (overdue,) = events(server, "request_timeout")
    assert given_up["request"] == overdue["request"]
    assert f"worker {old['id']} (pid:{old['pid']}) is to be replaced" in given_up["message"]
    (gone,) = wait_until(lambda: events(server, "worker_exited"), "the worker to go")
    assert gone["pid"] == old["pid"]
    assert gone["message"].endswith("reason: timeout")
    kinds = [event["type"] for event in server.read("/v1/events")["events"]]
    assert kinds == ["worker_ready", "request_timeout", "request_abandoned", "worker_ready",
                     "worker_exited"], "the replacement was ready first"
    assert server.get().status == 200
    assert server.stats()["totals"]["workers_crashed"] == 0


def test_cancel_of_what_does_not_end_says_so(hanging, pool):
    server = hanging("--timeout", "0")
    (old,) = server.workers()
    pool.submit(server.get, "/stubborn")
    server.wait_in_flight(1)
    (request,) = server.read("/v1/requests")["requests"]
    cancels = [pool.submit(server.api, "POST", "/v1/cancel", {"request": request["id"]})
               for _ in range(2)]
    wait_until(lambda: server.read("/v1/requests")["requests"][0]["state"] == "cancelled",
               "the request to be cancelled")
    for cancel in cancels:
        assert cancel.result().status == 500
        error = cancel.result().json()["error"]
        assert error["code"] == "not_ended"
        assert error["message"] == (f"request {request['id']} does not end; "
                                    f"worker {old['id']} is being replaced")
    (event,) = events(server, "request_cancelled")
    assert event["request"] == request["id"]
    wait_until(lambda: old["pid"] not in server.worker_pids(), "the worker to go")
    server.wait_ready()


def test_worker_of_an_abandoned_request_serves_on_while_none_can_replace_it(
    hanging, pool, tmp_path
):
    app = tmp_path / "release.py"
    app.write_text("from hanging import *\n")
    server = hanging("--threads", "2", app="release:app")
    app.write_text("raise RuntimeError('broken')\n")
    (old,) = server.workers()
    pool.submit(server.get, "/stubborn")
    server.wait_in_flight(1)
    (request,) = server.read("/v1/requests")["requests"]
    assert server.api("POST", "/v1/cancel", {"request": request["id"]}).status == 500
    (failed, *_) = wait_until(lambda: events(server, "boot_failed"), "the replacement to fail")
    assert "broken" in failed["detail"]
    assert {server.get().text for _ in range(5)} == {str(old["pid"])}
    app.write_text("from hanging import *\n")
    wait_until(lambda: server.get().text != str(old["pid"]), "the replacement")


def test_cancel_of_nothing(hanging):
    server = hanging()
    response = server.api("POST", "/v1/cancel", {"request": "1-99"})
    assert response.status == 404
    assert response.json()["error"]["code"] == "no_such_request"
