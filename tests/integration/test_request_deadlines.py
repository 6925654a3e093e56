"""What becomes of a request that is over --timeout, or is cancelled: 504, and if that does not help a new worker."""

import re

import pytest

from programs import sanitized
from server import exchange, read_all
from waiting import wait_until

GREENLETS = pytest.mark.skipif(sanitized(), reason="sanitizers do not know greenlets")
THREADS = ("--threads", "3")


def in_flight(server, path: str) -> dict:
    """The request with that path, once it runs."""

    def find() -> dict | None:
        requests = server.read("/v1/requests")["requests"]
        return next((request for request in requests if request["path"] == path), None)

    return wait_until(find, f"{path} to run")


def events(server, kind: str) -> list[dict]:
    return [event for event in server.read("/v1/events")["events"] if event["type"] == kind]


@pytest.mark.parametrize("function", ["loop", "sleep", "receive", "lock", "call_c"])
def test_request_of_a_sync_worker_is_ended_and_the_worker_lives_on(gunid, function):
    server = gunid("hanging:app", "--timeout", "1")
    (worker,) = server.workers()
    for count in (1, 2):
        response = server.get(f"/{function}")
        assert response.status == 504
        assert "Gateway Timeout" in response.text
        assert server.get().text == str(worker["pid"])
        assert server.stats()["totals"]["timeouts"] == count
        assert server.stats()["totals"]["server_errors"] == count
    assert not events(server, "request_abandoned")


def test_request_of_a_thread_that_runs_python_is_ended_and_the_worker_lives_on(gunid, pool):
    server = gunid("hanging:app", "--timeout", "1", *THREADS)
    (worker,) = server.workers()
    hanging = [pool.submit(server.get, "/loop") for _ in range(2)]
    assert [response.result().status for response in hanging] == [504, 504]
    assert {server.get().text for _ in range(10)} == {str(worker["pid"])}
    assert server.stats()["totals"]["timeouts"] == 2
    assert not events(server, "request_abandoned")


@pytest.mark.parametrize(
    "arguments, function",
    [
        (THREADS, "sleep"),
        (THREADS, "receive"),
        (THREADS, "lock"),
        (THREADS, "call_c"),
        (THREADS, "hold_gil"),
        ((), "stubborn"),
        ((), "hold_gil"),
    ],
    ids=lambda value: value if isinstance(value, str) else "threads" if value else "sync",
)
def test_request_that_does_not_end_is_answered_and_its_worker_replaced(gunid, pool, arguments, function):
    server = gunid("hanging:app", "--timeout", "1", *arguments)
    (old,) = server.workers()
    response = pool.submit(server.get, f"/{function}")
    assert response.result().status == 504
    wait_until(lambda: events(server, "worker_exited"), "the worker to go")
    kinds = [event["type"] for event in server.read("/v1/events")["events"]]
    assert kinds == ["worker_ready", "request_timeout", "request_abandoned", "worker_ready", "worker_exited"]
    (gone,) = events(server, "worker_exited")
    assert gone["pid"] == old["pid"]
    assert gone["message"].endswith("reason: timeout")
    assert server.get().text not in ("", str(old["pid"]))
    assert server.stats()["totals"]["workers_crashed"] == 0


def test_other_requests_of_a_threaded_worker_are_not_cut(gunid, pool, gate):
    server = gunid("hanging:app", "--timeout", "2", "--keep-alive", "60", *THREADS)
    (old,) = server.workers()
    connection = server.connect()
    assert exchange(connection, "GET", "/").text == str(old["pid"])
    stuck = pool.submit(server.get, "/sleep")
    assert stuck.result().status == 504
    # Now its worker is being replaced.
    other = pool.submit(exchange, connection, "GET", f"/fifo?fifo={gate.path}")
    assert in_flight(server, "/fifo")["worker"] == old["id"]
    wait_until(
        lambda: any(worker["state"] == "draining" for worker in server.workers()), "the drain"
    )
    gate.open()
    assert other.result().text == "released"
    connection.close()
    wait_until(lambda: events(server, "worker_exited"), "the worker to go")
    assert events(server, "worker_exited")[0]["pid"] == old["pid"]


def test_worker_serves_on_while_one_of_its_threads_is_lost(gunid, pool, tmp_path):
    """The replacement cannot boot: the threads that are left go on."""
    app = tmp_path / "release.py"
    app.write_text("from hanging import *\n")
    server = gunid("release:app", "--pythonpath", tmp_path, "--timeout", "1", *THREADS)
    (old,) = server.workers()
    app.write_text("raise RuntimeError('broken')\n")
    assert pool.submit(server.get, "/sleep").result().status == 504
    wait_until(lambda: events(server, "boot_failed"), "the replacement to fail")
    assert {server.get().text for _ in range(10)} == {str(old["pid"])}


def test_application_cleans_up(gunid):
    server = gunid("hanging:app", "--timeout", "1")
    assert server.get("/clean_up").status == 504
    assert server.get("/catch").text == "caught gunid.RequestTimeout"
    assert server.get("/clean_up").status == 504
    # It was not raised again after it was caught.
    assert server.stats()["totals"]["timeouts"] == 3
    assert "Traceback" not in server.log.text()


@pytest.mark.parametrize("arguments", [(), THREADS], ids=["sync", "threads"])
def test_cancel_reaches_a_request_that_waits_for_its_client(gunid, tmp_path, arguments):
    server = gunid("streams:app", "--timeout", "0", "--limit-response-buffer", "100000", *arguments)
    (worker,) = server.workers()
    with server.socket() as client:
        client.sendall(f"GET /endless?journal={tmp_path}/taken HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        request = in_flight(server, "/endless")
        cancelled = server.gunictl("cancel", request["id"])
        assert (cancelled.returncode, cancelled.stderr) == (0, "")
    assert server.workers()[0]["pid"] == worker["pid"]


def test_worker_whose_gil_is_held_takes_no_requests(gunid, pool):
    """One thread waits for the GIL, perhaps; what comes then is for the other worker."""
    server = gunid("hanging:app", "-w", "2", "--threads", "4", "--timeout", "0")
    pool.submit(server.get, "/hold_gil")
    in_flight(server, "/hold_gil")
    answers = [pool.submit(server.get, "/") for _ in range(10)]
    wait_until(lambda: sum(answer.done() for answer in answers) >= 9, "the other worker")
    for _ in range(10):
        assert server.get("/", timeout=20).status == 200


@GREENLETS
def test_greenlet_of_no_request_that_holds_up_all_others_is_caught(gunid, tmp_path):
    (tmp_path / "spawning.py").write_text(
        "import gevent, os\n"
        "def loop():\n"
        "    while True: pass\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/spawn': gevent.spawn_later(0.1, loop)\n"
        "    start_response('200 OK', [])\n"
        "    return [str(os.getpid()).encode()]\n"
    )
    server = gunid("spawning:app", "-k", "gevent", "--timeout", "1", "--pythonpath", tmp_path)
    old = server.get("/spawn").text
    (event,) = wait_until(lambda: events(server, "worker_timeout"), "the silence to be noticed")
    assert str(event["pid"]) == old
    assert " in loop\n" in event["detail"] + "\n"
    wait_until(lambda: events(server, "worker_exited"), "the worker to go")
    assert server.get("/").text not in ("", old)


@pytest.mark.parametrize("arguments", [(), THREADS], ids=["sync", "threads"])
def test_response_that_has_begun_is_cut(gunid, arguments):
    server = gunid("hanging:app", "--timeout", "1", *arguments)
    with server.socket() as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
        received = read_all(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"5\r\nbegun\r\n"), "the end of the chunks would make it look complete"


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_flask_and_its_handlers_let_it_pass(gunid, tmp_path, preload):
    (tmp_path / "views.py").write_text(
        "import time\n"
        "from flask import Flask\n"
        "app = Flask(__name__)\n"
        "done = []\n"
        "@app.errorhandler(Exception)\n"
        "def failed(error): return 'handled', 500\n"
        "@app.teardown_request\n"
        "def teardown(error): done.append(type(error).__name__)\n"
        "@app.route('/')\n"
        "def index(): return ' '.join(done)\n"
        "@app.route('/sleep')\n"
        "def sleep(): time.sleep(3600)\n"
    )
    server = gunid("views:app", "--pythonpath", tmp_path, "--timeout", "1", *preload)
    assert server.get("/sleep").status == 504
    assert server.get("/").text.split()[0] == "RequestTimeout"


def test_deadline_zero_is_none_but_an_operator_can_cancel(gunid, pool):
    server = gunid("hanging:app", "--timeout", "0", "-w", "2", "--threads", "2")
    response = pool.submit(server.get, "/loop")
    request = in_flight(server, "/loop")
    listed = server.gunictl("requests")
    assert listed.returncode == 0
    assert re.search(rf"^{request['id']} .* GET +/loop$", listed.stdout, re.MULTILINE)
    stack = server.gunictl("stack", request["worker"])
    assert stack.returncode == 0
    assert re.search(rf"{request['id']}.*\n +File .*hanging\.py\", line \d+ in loop\n", stack.stdout)

    cancelled = server.gunictl("cancel", request["id"])
    assert (cancelled.returncode, cancelled.stdout) == (0, f"request {request['id']} has ended\n")
    assert response.result().status == 504
    again = server.gunictl("cancel", request["id"])
    assert again.returncode == 1
    assert again.stderr == f"gunictl: cancel: there is no request {request['id']}\n"
    (event,) = events(server, "request_cancelled")
    assert event["request"] == request["id"]
    assert server.stats()["totals"]["timeouts"] == 0
    shown = server.gunictl("events")
    assert shown.returncode == 0
    assert event["message"] in shown.stdout


def test_cancel_of_what_does_not_end_fails(gunid, pool):
    server = gunid("hanging:app", "--timeout", "0", *THREADS)
    response = pool.submit(server.get, "/sleep")
    request = in_flight(server, "/sleep")
    cancelled = server.gunictl("cancel", request["id"])
    assert cancelled.returncode == 1
    assert "does not end" in cancelled.stderr
    assert response.result().status == 504


def test_nothing_of_a_cancel_reaches_another_request(gunid, pool):
    """Requests end by themselves while they are being cancelled."""
    server = gunid("hanging:app", "--timeout", "0", "-w", "1", *THREADS)
    (worker,) = server.workers()
    connection = server.connect()
    stop = []

    def cancel_whatever_runs() -> int:
        cancelled = 0
        while not stop:
            for request in server.read("/v1/requests")["requests"]:
                server.api("POST", "/v1/cancel", {"request": request["id"]})
                cancelled += 1
        return cancelled

    cancelling = pool.submit(cancel_whatever_runs)
    statuses = set()
    for _ in range(100):
        clients = [pool.submit(server.get, "/") for _ in range(8)]
        statuses |= {client.result().status for client in clients}
    stop.append(True)
    cancelling.result()
    connection.close()
    assert statuses <= {200, 504}
    assert {server.get().text for _ in range(20)} == {str(worker["pid"])}
    assert "Traceback" not in server.log.text()


@GREENLETS
@pytest.mark.parametrize("function", ["loop", "sleep", "receive", "lock", "call_c"])
def test_greenlet_that_hangs_is_ended_and_the_worker_lives_on(gunid, function):
    """Also where it holds up the hub: sleep, receive and lock are patched, the others are not."""
    server = gunid("hanging:app", "-k", "gevent", "--timeout", "1")
    (worker,) = server.workers()
    assert server.get(f"/{function}").status == 504
    assert server.get().text == str(worker["pid"])
    assert server.stats()["totals"]["timeouts"] == 1
    assert re.search(rf'File ".*hanging\.py", line \d+ in {function}$', server.log.text(), re.MULTILINE)


@GREENLETS
def test_greenlet_that_holds_up_all_others_for_good_costs_its_worker(gunid, pool):
    server = gunid("hanging:app", "-k", "gevent", "--timeout", "1")
    (old,) = server.workers()
    stuck = pool.submit(server.get, "/hold_gil")
    (gone,) = wait_until(lambda: events(server, "worker_exited"), "the worker to go")
    assert gone["pid"] == old["pid"]
    assert gone["message"].endswith("reason: timeout")
    kinds = [event["type"] for event in server.read("/v1/events")["events"]]
    assert kinds == ["worker_ready", "request_timeout", "request_abandoned", "worker_ready", "worker_exited"]
    assert isinstance(stuck.exception(), ConnectionError)
    assert server.get().text not in ("", str(old["pid"]))


@GREENLETS
@pytest.mark.parametrize("function", ["sleep", "hold_gil"])
def test_stacks_of_greenlets(gunid, pool, function):
    server = gunid("hanging:app", "-k", "gevent", "--timeout", "0")
    (worker,) = server.workers()
    pool.submit(server.get, f"/{function}")
    request = in_flight(server, f"/{function}")

    def stack() -> str | None:
        shown = server.gunictl("stack", worker["id"])
        return shown.stdout if f" in {function}\n" in shown.stdout else None

    text = wait_until(stack, "the function")
    if function == "sleep":
        assert re.search(rf"Greenlet 0x[0-9a-f]+.*{request['id']}", text)
    else:
        assert "Thread 0x" in text, "of the greenlet that holds up the others"
