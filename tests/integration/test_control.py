"""The control API by curl and the gunictl command: every command, its output, its exit code."""

import http.server
import json
import os
import queue
import re
import socket
import socketserver
import stat
import subprocess
import threading

import pytest

from processes import Process
from programs import GUNICTL, GUNID, TIMEOUT, environment, gunictl, run
from server import read_all
from waiting import wait_until

DONE, FAILED, USAGE, CANNOT_CONNECT, TIMED_OUT = range(5)

WORKER_MEMBERS = {"id", "pid", "generation", "state", "uptime_s", "requests", "in_flight",
                  "heartbeat_age_s", "rss_bytes"}


@pytest.fixture(scope="module")
def server(module_gunid):
    """For tests that change nothing."""
    return module_gunid("hello:app", "-w", "2", "--name", "for reading")


def curl(server, path: str, *arguments: str) -> tuple[int, dict]:
    result = run("curl", "-sS", "--unix-socket", server.control_socket, "-w", r"\n%{http_code}",
                 *arguments, f"http://localhost{path}")
    assert result.returncode == 0, result.stderr
    body, _, status = result.stdout.rpartition("\n")
    return int(status), json.loads(body)


def snapshot(server) -> tuple:
    status = server.status()
    return status["generation"], status["workers_wanted"], server.worker_pids()


def assert_one_line(result) -> None:
    assert result.stdout == ""
    assert re.fullmatch(r"[^\n]+\n", result.stderr), result.stderr


# Reading


def test_status(server):
    code, status = curl(server, "/v1/status")
    assert code == 200
    assert status["state"] == "serving"
    assert status["pid"] == server.pid
    assert status["app"] == "hello:app"
    assert (status["generation"], status["workers_wanted"], status["workers_ready"]) == (1, 2, 2)
    assert [listener["address"] for listener in status["listeners"]] == [server.address]
    assert status["control_socket"] == str(server.control_socket)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", status["started_at"])
    assert 0 < status["uptime_s"] < 1000
    assert status["last_error"] == ""
    assert f"gunid {status['version']}" in run(GUNID, "--version").stdout


def test_workers(server):
    code, document = curl(server, "/v1/workers")
    assert code == 200
    assert len(document["workers"]) == 2
    for worker in document["workers"]:
        assert WORKER_MEMBERS <= set(worker)
        assert (worker["state"], worker["generation"], worker["in_flight"]) == ("ready", 1, 0)
        assert Process(worker["pid"]).parent == server.pid
        assert 0 <= worker["heartbeat_age_s"] < 10
        assert 0 < worker["uptime_s"] < 1000
        assert worker["rss_bytes"] > 1_000_000
    assert len({worker["id"] for worker in document["workers"]}) == 2


def test_stats(gunid):
    server = gunid("wsgi_probe:app", "-w", "2")
    for _ in range(10):
        server.get("/single")
    server.get("/raise")
    wait_until(lambda: server.stats()["totals"]["requests"] == 11, "eleven counted requests")
    code, stats = curl(server, "/v1/stats")
    assert code == 200
    totals = stats["totals"]
    assert (totals["server_errors"], totals["connections"]) == (1, 11)
    assert totals["bytes_sent"] > 10 * len("just one")
    assert (totals["workers_spawned"], totals["workers_exited"]) == (2, 0)
    assert sum(worker["requests"] for worker in stats["workers"]) == 11
    assert (stats["generation"], stats["workers_wanted"], stats["workers_ready"]) == (1, 2, 2)
    assert stats["in_flight"] == 0
    assert stats["supervisor_rss_bytes"] > 1_000_000
    assert stats["listeners"] and stats["uptime_s"] > 0


def test_stats_show_requests_in_flight(gunid, pool, gate):
    server = gunid("blocking:app", "-w", "2")
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    assert sorted(worker["in_flight"] for worker in server.workers()) == [0, 1]
    gate.open()
    client.result()
    server.wait_in_flight(0)


def test_totals_keep_what_dead_workers_did(gunid):
    server = gunid("hello:app")
    for _ in range(7):
        server.get()
    (worker,) = server.worker_pids()
    os.kill(worker, 9)
    wait_until(lambda: server.worker_pids() - {worker}, "a replacement")
    server.get()
    wait_until(lambda: server.stats()["totals"]["requests"] == 8, "all requests to be counted")
    assert [worker["requests"] for worker in server.workers()] == [1]


@pytest.mark.parametrize("command", ["status", "stats", "workers"])
def test_json_is_the_document_of_the_api(server, command):
    result = server.gunictl("--json", command)
    assert (result.returncode, result.stderr) == (DONE, "")
    document = json.loads(result.stdout)
    assert document.keys() == server.read(f"/v1/{command}").keys()


def test_json_may_follow_the_command(server):
    assert json.loads(server.gunictl("status", "--json").stdout)["pid"] == server.pid


def test_tables_for_people(server):
    status = server.gunictl("status")
    assert (status.returncode, status.stderr) == (DONE, "")
    assert server.address in status.stdout and str(server.pid) in status.stdout

    workers = server.gunictl("workers").stdout.splitlines()
    assert len(workers) == 3
    assert workers[0].split()[:4] == ["ID", "PID", "GEN", "STATE"]
    assert {int(line.split()[1]) for line in workers[1:]} == server.worker_pids()

    stats = server.gunictl("stats").stdout
    assert all(str(pid) in stats for pid in server.worker_pids())
    assert "\x1b" not in status.stdout + stats  # no colour: this is not a terminal


# Scaling


def test_scale_returns_when_the_workers_are_ready(gunid):
    server = gunid("hello:app")
    result = server.gunictl("scale", "8")
    assert len(server.worker_pids()) == 8
    assert (result.returncode, result.stderr) == (DONE, "")
    assert "8 workers are ready" in result.stdout
    result = server.gunictl("scale", "2")
    assert result.returncode == DONE
    assert "2 workers" in result.stdout
    assert len(server.workers()) == 2
    assert {server.get().text for _ in range(10)} == {"hello"}


def test_scale_waits_for_readiness_and_others_are_answered_meanwhile(gunid, pool, gate, tmp_path):
    hold = tmp_path / "hold"
    (tmp_path / "slow.py").write_text(
        f"import os\nif os.path.exists({str(hold)!r}): open({str(gate.path)!r}).read()\n"
        "from hello import app\n"
    )
    server = gunid("slow:app", "--pythonpath", tmp_path)
    hold.touch()
    scale = pool.submit(server.gunictl, "scale", "2")
    gate.wait_entered()
    status = server.status()
    assert (status["workers_wanted"], status["workers_ready"]) == (2, 1)
    assert server.gunictl("workers").returncode == DONE
    assert server.get().text == "hello"
    assert not scale.done()
    gate.open()
    assert scale.result().returncode == DONE


def test_scale_as_json(gunid):
    server = gunid("hello:app")
    document = json.loads(server.gunictl("--json", "scale", "2").stdout)
    assert (document["operation"], document["outcome"]) == ("scale", "done")
    assert (document["workers_wanted"], document["workers_ready"]) == (2, 2)
    assert document["duration_s"] >= 0
    code, document = curl(server, "/v1/scale", "-d", '{"workers": 1}')
    assert (code, document["workers_wanted"]) == (200, 1)


def test_scale_to_what_is_there_already(server):
    before = snapshot(server)
    assert server.gunictl("scale", "2").returncode == DONE
    assert snapshot(server) == before


@pytest.mark.parametrize("workers", ["0", "-1", "abc", "1000000", "1.5", "", "9" * 20])
def test_bad_scale_is_refused(server, workers):
    before = snapshot(server)
    result = server.gunictl("scale", workers)
    assert result.returncode == USAGE
    assert_one_line(result)
    assert snapshot(server) == before


@pytest.mark.parametrize("body", [
    '{"workers": 0}', '{"workers": -1}', '{"workers": "abc"}', '{"workers": 1000000}',
    '{"workers": 1.5}', '{"workers": null}', '{"workers": 99999999999999999999}', "{}", "[]", "5",
    "", "not json", '{"workers": 3, "other": 1}', "[" * 1000, '{"workers": 3',
], ids=lambda body: body[:30])
def test_bad_document_is_refused(server, body):
    before = snapshot(server)
    code, document = curl(server, "/v1/scale", "-d", body)
    assert code == 400
    assert document["error"]["code"] == "bad_argument"
    assert re.fullmatch(r"[^\n]+", document["error"]["message"])
    assert snapshot(server) == before


# Bad requests and bad commands


@pytest.mark.parametrize("path, arguments, code", [
    ("/v1/nothing", (), 404),
    ("/", (), 404),
    ("/v1/../v1/status", ("--path-as-is",), 404),
    ("/v1/scale", (), 405),
    ("/v1/reload", (), 405),
    ("/v1/stop", (), 405),
    ("/v1/status", ("-X", "POST"), 405),
    ("/v1/status", ("-X", "DELETE"), 405),
    ("/v1/cancel", (), 405),
    ("/v1/stack?worker=1", ("-X", "POST"), 405),
    ("/v1/status?worker=1", (), 400),
    ("/v1/requests?all", (), 400),
    ("/v1/stack", (), 400),
    ("/v1/stack?worker=", (), 400),
    ("/v1/stack?worker=-1", (), 400),
    ("/v1/stack?worker=1&worker=1", (), 400),
    ("/v1/stack?worker=1&verbose=1", (), 400),
    ("/v1/stack?worker=99999999999999999999", (), 400),
    ("/v1/events?after=x", (), 400),
    ("/v1/events?before=3", (), 400),
    ("/v1/cancel", ("-d", '{"request": "3"}'), 400),
    ("/v1/cancel", ("-d", '{"request": 3}'), 400),
    ("/v1/cancel?request=3-1841", ("-d", ""), 400),
    ("/v1/stop?now=1", ("-d", ""), 400),
])
def test_bad_request_is_refused(server, path, arguments, code):
    before = snapshot(server)
    status, document = curl(server, path, *arguments)
    assert status == code
    assert set(document["error"]) == {"code", "message", "detail"}
    assert snapshot(server) == before


@pytest.mark.parametrize("arguments", [
    ("unknown",), ("scale",), ("scale", "2", "3"), ("status", "extra"), ("--unknown", "status"), (),
    ("--timeout", "abc", "status"), ("--timeout", "-1", "status"),
    ("stack",), ("stack", "0"), ("stack", "x"), ("stack", "1", "2"),
    ("cancel",), ("cancel", "3"), ("cancel", "3-"), ("cancel", "3-1841", "3-1842"),
    ("events", "-1"), ("events", "--follow", "x"), ("requests", "1"), ("requests", "--follow"),
], ids=str)
def test_bad_command_is_refused(server, arguments):
    before = snapshot(server)
    result = server.gunictl(*arguments)
    assert result.returncode == USAGE
    assert_one_line(result)
    assert snapshot(server) == before


def test_garbage_on_the_control_socket(server):
    before = snapshot(server)
    for garbage in (b"\0" * 100, b"GET\r\n\r\n", os.urandom(1000), b"A" * 1_000_000):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(server.control_socket))
            try:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                read_all(client)
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert snapshot(server) == before


def test_stalled_clients_do_not_stall_others(server):
    stalled = []
    for _ in range(20):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(server.control_socket))
        client.sendall(b"POST /v1/scale HTTP/1.1\r\nHost: a\r\nContent-Le")
        stalled.append(client)
    assert server.status()["workers_ready"] == 2
    assert server.get().text == "hello"
    for client in stalled:
        client.close()


# Finding the server


def test_no_server(tmp_path):
    result = gunictl("--socket", tmp_path / "nothing.sock", "status")
    assert result.returncode == CANNOT_CONNECT
    assert_one_line(result)


def test_server_that_is_gone(tmp_path):
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    result = gunictl("--socket", path, "status")
    assert result.returncode == CANNOT_CONNECT
    assert_one_line(result)


def test_instances_are_found_by_name(gunid, tmp_path, free_port):
    names = [f"test-{free_port}-{letter}" for letter in "ab"]
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    servers = [
        gunid("hello:app", "--name", name, control=False, ready=False, env=env) for name in names
    ]
    for name, server in zip(names, servers):
        server.log.wait_for("Booting worker")
        result = gunictl("--name", name, "--json", "status", env=environment(**env))
        assert (result.returncode, result.stderr) == (DONE, "")
        status = json.loads(result.stdout)
        assert (status["pid"], status["name"]) == (server.pid, name)
        assert status["control_socket"].endswith(f"gunid/{name}.sock")

    several = gunictl("status", env=environment(**env))
    assert several.returncode == USAGE
    assert all(name in several.stderr for name in names)
    nobody = gunictl("--name", "nobody", "status", env=environment(**env))
    assert nobody.returncode == CANNOT_CONNECT


def test_control_socket_is_for_its_owner_only(server):
    assert stat.S_IMODE(server.control_socket.stat().st_mode) == 0o600


def test_control_socket_survives_scale_and_reload(gunid):
    server = gunid("hello:app")
    before = server.control_socket.stat().st_ino
    assert server.gunictl("scale", "2").returncode == DONE
    assert server.gunictl("reload").returncode == DONE
    assert server.control_socket.stat().st_ino == before


def test_control_socket_is_not_inherited_by_workers(server):
    def sockets(pid: int) -> set[str]:
        links = (f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))
        return {link for link in map(os.readlink, links) if link.startswith("socket:")}

    inode = next(
        line.split()[6]
        for line in open("/proc/net/unix")
        if line.rstrip().endswith(str(server.control_socket))
    )
    assert f"socket:[{inode}]" in sockets(server.pid)
    for pid in server.worker_pids():
        assert f"socket:[{inode}]" not in sockets(pid)


def test_control_socket_is_not_stolen_from_a_living_server(gunid):
    server = gunid("hello:app")
    thief = run(GUNID, "hello:app", "-b", "127.0.0.1:0", "--control-socket", server.control_socket,
                cwd="/")
    assert thief.returncode == 1
    assert str(server.control_socket) in thief.stderr
    assert server.status()["pid"] == server.pid


def test_stale_control_socket_is_replaced(gunid):
    server = gunid("hello:app")
    server.signal(9)
    server.wait_exit()
    server.wait_gone()
    assert server.control_socket.exists()
    path = server.control_socket
    again = gunid("hello:app", "--control-socket", path, control=False, ready=False)
    again.log.wait_for("Booting worker")
    again.control_socket = path
    assert again.wait_ready().status()["pid"] == again.pid


# Following the events


class ScriptedApi(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A control API whose answers to GET /v1/events the test puts into a queue, one per request."""

    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), ScriptedAnswer)
        self.targets: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[tuple[int, dict] | None] = queue.Queue()  # None: hang up


class ScriptedAnswer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.targets.put(self.path)
        scripted = self.server.answers.get()
        if scripted is None:
            return
        status, document = scripted
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def api(tmp_path):
    with ScriptedApi(tmp_path / "api.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def follow(api):
    """Starts gunictl events --follow; it is gone at the end."""
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        command = [GUNICTL, "--socket", api.server_address, "events", "--follow", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment()))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def event(number: int, **members) -> dict:
    return {"id": number, "time": "2026-01-02T03:04:05.678Z", "type": "scaled", "worker": 0, "pid": 0,
            "request": "", "message": f"message {number}", "detail": ""} | members


def answer(*events: dict) -> tuple[int, dict]:
    return 200, {"events": list(events)}


def test_follow_prints_events_as_they_come(api, follow):
    process = follow()
    assert api.targets.get(timeout=TIMEOUT) == "/v1/events"
    api.answers.put(answer(event(7), event(8, request="3-1841", detail="Thread 1:\n  line\x1b")))
    assert api.targets.get(timeout=TIMEOUT) == "/v1/events?after=8"
    # The next answer is still out: what has come is printed nevertheless.
    lines = [process.stdout.readline() for _ in range(4)]
    assert lines[0].split() == ["2026-01-02T03:04:05.678Z", "scaled", "server", "message", "7"]
    assert lines[1].split()[2:] == ["request", "3-1841", "message", "8"]
    assert lines[2:] == ["    Thread 1:\n", "      line\\x1b\n"]

    api.answers.put(answer(event(12)))
    assert api.targets.get(timeout=TIMEOUT) == "/v1/events?after=12"
    assert process.stdout.readline().endswith("message 12\n")
    api.answers.put(None)
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, output) == (CANNOT_CONNECT, "")
    assert errors.splitlines() == [
        "gunictl: events: 3 events were forgotten by the server before 12",
        "gunictl: events: the server has stopped",
    ]


def test_follow_as_json_is_a_document_a_line(api, follow):
    process = follow("--json", "17")
    assert api.targets.get(timeout=TIMEOUT) == "/v1/events?after=17"
    event_with_news = event(18, detail="two\nlines", news=[1])
    api.answers.put(answer(event_with_news, event(19)))
    assert json.loads(process.stdout.readline()) == event_with_news
    assert json.loads(process.stdout.readline()) == event(19)
    stopping = {"code": "stopping", "message": "the server is being stopped", "detail": ""}
    api.answers.put((503, {"error": stopping}))
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, output) == (CANNOT_CONNECT, "")
    assert errors == "gunictl: events: the server has stopped\n"


def test_follow_ends_when_the_server_refuses(api, follow):
    process = follow()
    busy = {"code": "busy", "message": "too many clients wait for events already", "detail": ""}
    api.answers.put((503, {"error": busy}))
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, output) == (FAILED, "")
    assert errors == "gunictl: events: too many clients wait for events already\n"


def test_follow_gives_up_after_a_timeout(api, follow):
    process = follow("--timeout", "0.5", "17")
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, output) == (TIMED_OUT, "")
    assert errors == "gunictl: no answer to events in time\n"
    api.answers.put(None)


def test_follow_without_a_server(tmp_path):
    result = gunictl("--socket", tmp_path / "nothing.sock", "events", "--follow")
    assert result.returncode == CANNOT_CONNECT
    assert_one_line(result)


# Waiting and stopping


def test_timeout_of_gunictl(gunid, gate, tmp_path):
    hold = tmp_path / "hold"
    (tmp_path / "slow.py").write_text(
        f"import os\nif os.path.exists({str(hold)!r}): open({str(gate.path)!r}).read()\n"
        "from hello import app\n"
    )
    server = gunid("slow:app", "--pythonpath", tmp_path)
    hold.touch()
    result = server.gunictl("--timeout", "1", "scale", "2")
    assert result.returncode == TIMED_OUT
    assert_one_line(result)
    gate.open()
    server.wait_ready(2)


def test_stop_finishes_requests_and_returns_when_the_server_is_gone(gunid, pool, gate):
    server = gunid("blocking:app", "-w", "2")
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    stop = pool.submit(server.gunictl, "stop")
    wait_until(lambda: server.status()["state"] == "stopping", "the server to stop")
    gate.open()
    result = stop.result()
    assert (result.returncode, result.stderr) == (DONE, "")
    assert not server.control_socket.exists()
    assert client.result().text == "released"
    assert server.wait_exit() == 0
    assert server.gunictl("status").returncode == CANNOT_CONNECT


def test_two_operations_at_once_leave_a_working_server(gunid, pool):
    server = gunid("hello:app", "-w", "2")
    operations = [pool.submit(server.gunictl, *command)
                  for command in (("reload",), ("scale", "4"), ("restart",))]
    results = [operation.result() for operation in operations]
    assert {result.returncode for result in results} <= {DONE, FAILED}
    assert DONE in {result.returncode for result in results}
    assert all(result.stderr for result in results if result.returncode == FAILED)
    wait_until(lambda: server.status()["state"] == "serving", "the operations to end")
    server.wait_ready()
    assert server.get().text == "hello"


def test_many_readers_at_once(server, pool):
    readers = [pool.submit(server.gunictl, "--json", "status") for _ in range(20)]
    assert {reader.result().returncode for reader in readers} == {DONE}
