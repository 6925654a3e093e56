"""The gevent worker: what waits costs nothing, and whatever a greenlet does costs one request."""

import os
import socket
import threading
from signal import SIGINT, SIGKILL, SIGTERM, SIGUSR1
from urllib.parse import quote

import pytest

from programs import APPS, GUNID, environment, run, sanitized
from server import Server, exchange, read_all
from streams import pattern
from waiting import wait_until

# Greenlets move parts of the stack about, which the sanitizers take for damage.
pytestmark = pytest.mark.skipif(sanitized(), reason="sanitizers do not know greenlets")

CONFIG = 1
EACH_OR_PRELOADED = pytest.mark.parametrize("preload", [(), ("--preload",)],
                                            ids=["each", "preload"])


@pytest.fixture(scope="module")
def server(module_gunid) -> Server:
    return module_gunid("greenlets:app", "-k", "gevent", "--keep-alive", "30")


def assert_is_well(server: Server, worker: int) -> None:
    assert server.get("/").text == str(worker)
    server.wait_in_flight(0)


def ask(server: Server, target: str) -> socket.socket:
    """A client that has asked, and waits."""
    client = server.socket()
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return client


def answer(client: socket.socket) -> tuple[int, str]:
    with client:
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()


# Many at a time


def test_log_names_the_worker_class(server):
    assert server.log.matches("Using worker: gevent$")


def test_five_hundred_requests_at_a_time(gunid):
    server = gunid("greenlets:app", "-k", "gevent")
    (worker,) = server.worker_pids()
    clients = [ask(server, "/gather?count=500") for _ in range(500)]
    assert {answer(client) for client in clients} == {(200, "gathered")}
    assert_is_well(server, worker)
    assert server.stats()["totals"]["requests"] == 501


def test_worker_connections_bound_the_requests(gunid):
    server = gunid("greenlets:app", "-k", "gevent", "--worker-connections", "7")
    clients = [ask(server, "/crowd") for _ in range(50)]
    answers = [answer(client) for client in clients]
    assert {status for status, _ in answers} == {200}
    assert max(int(peak) for _, peak in answers) == 7


def test_connections_beyond_what_can_be_shown(gunid):
    server = gunid("greenlets:app", "-k", "gevent", "--worker-connections", "5000",
                   "--threads", "4", "-w", "2")
    assert len(server.log.matches("worker_connections is 5000, but a gevent worker runs no more "
                                  "than 1024 requests at a time")) == 1
    assert len(server.log.matches("threads is ignored: a gevent worker")) == 1
    assert server.get("/").status == 200


@pytest.mark.parametrize("name", ["gevent_wsgi", "gevent_pywsgi"])
def test_other_names(gunid, name):
    server = gunid("greenlets:app", "-k", name)
    assert server.get("/flags").text == "True"


# What cooperates


@pytest.mark.parametrize("way", ["condition", "lock", "process", "queue", "sleep", "socket",
                                 "thread"])
def test_blocking_code_lets_others_run(server, way):
    taker = ask(server, f"/take?way={way}")
    server.wait_in_flight(1)
    assert server.get(f"/give?way={way}").text == "given"
    assert answer(taker) == (200, "token")


def test_request_to_the_same_worker(server):
    url = f"{server.url}/itself?url={quote(server.url + '/')}"
    assert server.get(f"/itself?url={quote(url)}").text == str(*server.worker_pids())


# Connections


def test_connection_is_kept(server):
    connection = server.connect()
    assert {exchange(connection, "GET", "/").status for _ in range(20)} == {200}
    connection.close()


def test_pipelined_requests_are_answered_in_turn(server):
    requests = [f"GET /{path} HTTP/1.1\r\nHost: a\r\n" for path in ["", "crowd", "", "flags"] * 50]
    with server.socket() as client:
        client.sendall(("\r\n".join(requests) + "Connection: close\r\n\r\n").encode())
        answers = read_all(client).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 200
    assert all(answer.startswith(b"200 OK") for answer in answers)
    assert all(answer.endswith(b"\r\n\r\nTrue") for answer in answers[3::4])


def test_clients_that_never_pause_leave_room_for_others(server):
    """Greenlets that wait for something else than the engine have their turn."""
    ended = threading.Event()

    def visit() -> int:
        connection, count = server.connect(), 0
        while not ended.is_set():
            assert exchange(connection, "GET", "/").status == 200
            count += 1
        connection.close()
        return count

    counts = []
    visitors = [threading.Thread(target=lambda: counts.append(visit())) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for _ in range(10):
        assert int(server.get("/crowd").text) >= 1
    ended.set()
    for visitor in visitors:
        visitor.join()
    assert len(counts) == 4 and min(counts) > 10


def test_uploads(gunid):
    server = gunid("streams:app", "-k", "gevent")
    size = 3_000_000
    slow = server.socket()
    slow.sendall(b"POST /check HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                 b"Content-Length: %d\r\n\r\n" % size)
    slow.sendall(pattern(0, 1_000_000))
    body = [pattern(offset, 65536) for offset in range(0, 65536 * 40, 65536)]
    assert server.request("POST", "/check", body=iter(body)).text == f"{65536 * 40} intact"
    slow.sendall(pattern(1_000_000, 1_000_000))
    slow.sendall(pattern(2_000_000, 1_000_000))
    assert answer(slow) == (200, f"{size} intact")


def test_response_to_a_slow_client_holds_up_nobody(gunid):
    """It is longer than what is kept for the client, so its greenlet has to wait."""
    server = gunid("streams:app", "-k", "gevent", "--limit-response-buffer", "1000000")
    size = 40_000_000
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.settimeout(40)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"GET /generated?size=%d&piece=70001 HTTP/1.0\r\n\r\n" % size)
        server.wait_in_flight(1)
        for _ in range(20):
            assert server.get("/").status == 200
        server.wait_in_flight(1)
        body = read_all(slow).partition(b"\r\n\r\n")[2]
    assert len(body) == size
    assert all(body[at : at + 65536] == pattern(at, min(65536, size - at))
               for at in range(0, size, 65536))


def test_body_that_another_greenlet_writes(gunid):
    """While the request's own greenlet waits, its stack is elsewhere."""
    server = gunid("greenlets:app", "-k", "gevent", "--limit-response-buffer", "1000000")
    clients = [ask(server, "/write") for _ in range(5)]
    for client in clients:
        status, body = answer(client)
        pieces = ["".join(body.split("\r\n")[1::2])] if body[:1] != "a" else [body]
        assert status == 200
        assert pieces == ["a" * 5_000_000 + "b" * 5_000_000 + "c" * 100_000]


def test_client_that_leaves(server):
    (worker,) = server.worker_pids()
    ask(server, "/take?way=sleep").close()
    server.get("/give?way=sleep")
    assert_is_well(server, worker)


# Isolation


def test_requests_share_no_context(server):
    expected = "(None, None) ('local', 'variable')"
    connection = server.connect()
    assert {exchange(connection, "GET", "/isolation").text for _ in range(20)} == {expected}
    connection.close()
    clients = [ask(server, "/isolation") for _ in range(50)]
    assert {answer(client) for client in clients} == {(200, expected)}


# Failures


@pytest.mark.parametrize("sleep", ["", "&sleep"], ids=["at once", "later"])
@pytest.mark.parametrize("name, status", [
    ("GreenletExit", 500),
    ("KeyboardInterrupt", 500),
    ("LoopExit", 500),
    ("RequestTimeout", 504),
    ("SystemExit", 500),
    ("ValueError", 500),
])
def test_exception_costs_one_request(server, name, status, sleep):
    (worker,) = server.worker_pids()
    other = ask(server, "/take?way=queue")
    server.wait_in_flight(1)
    assert server.get(f"/fail?name={name}{sleep and '&sleep=1'}").status == status
    server.get("/give?way=queue")
    assert answer(other) == (200, "token")
    assert_is_well(server, worker)


def test_request_that_kills_its_own_greenlet(server):
    (worker,) = server.worker_pids()
    assert server.get("/kill").status == 500
    assert_is_well(server, worker)


@pytest.mark.parametrize("name", ["GreenletExit", "KeyboardInterrupt", "LoopExit", "SystemExit",
                                  "ValueError"])
def test_failure_of_a_greenlet_of_the_application(server, name):
    (worker,) = server.worker_pids()
    assert server.get(f"/aside?name={name}").text == "failed aside"
    assert_is_well(server, worker)


def test_greenlet_of_the_application_outlives_its_request(server):
    assert server.get("/spawn").text == "spawned"
    assert server.get("/spawned").text == "went on"


# Deadlines


def test_deadline_of_a_request_that_waits(gunid):
    """It costs this request alone."""
    server = gunid("greenlets:app", "-k", "gevent", "--timeout", "2")
    (worker,) = server.worker_pids()
    assert server.get("/sleep").status == 504
    taker = ask(server, "/take?way=sleep")
    server.wait_in_flight(1)
    assert server.get("/give?way=sleep").text == "given"
    assert answer(taker) == (200, "token")
    assert_is_well(server, worker)


def test_deadline_of_a_request_that_holds_up_the_others(gunid, gate):
    server = gunid("greenlets:app", "-k", "gevent", "--timeout", "2")
    (worker,) = server.worker_pids()
    taker = ask(server, "/take?way=queue")
    server.wait_in_flight(1)
    culprit = ask(server, f"/block?fifo={gate.path}")
    gate.wait_entered()
    giver = ask(server, "/give?way=queue")
    assert answer(culprit)[0] == 504
    assert answer(giver) == (200, "given")
    taker.close()
    assert_is_well(server, worker)


# Ends


def test_graceful_stop_waits_for_greenlets(gunid):
    server = gunid("greenlets:app", "-k", "gevent")
    takers = [ask(server, "/take?way=sleep") for _ in range(20)]
    giver = server.connect()
    assert exchange(giver, "GET", "/").status == 200
    server.wait_in_flight(20)
    server.signal(SIGTERM)
    server.log.wait_for("Handling signal: term")
    assert exchange(giver, "GET", "/give?way=sleep").text == "given"
    assert {answer(taker) for taker in takers} == {(200, "token")}
    assert server.wait_exit() == 0
    assert not server.log.matches("Traceback|SIGKILL")


def test_quick_stop_does_not_wait(gunid):
    server = gunid("greenlets:app", "-k", "gevent", "--graceful-timeout", "300")
    clients = [ask(server, "/sleep") for _ in range(5)]
    server.wait_in_flight(5)
    server.signal(SIGINT)
    assert server.wait_exit() == 0
    assert [client.recv(100) for client in clients] == [b""] * 5
    for client in clients:
        client.close()


def test_stop_of_an_idle_worker(gunid):
    server = gunid("greenlets:app", "-k", "gevent")
    kept = server.connect()
    assert exchange(kept, "GET", "/").status == 200
    assert server.stop() == 0
    kept.close()


def test_usr1_opens_the_log_file_again(gunid, tmp_path):
    log = tmp_path / "error.log"
    server = gunid("greenlets:app", "-k", "gevent", "--error-logfile", log)
    url = server.status()["listeners"][0]["address"]
    log.rename(tmp_path / "error.log.1")
    server.signal(SIGUSR1)
    wait_until(log.exists, "the new log file")

    def worker_writes_to_it() -> bool:
        run("curl", "-sS", f"{url}/fail?name=ValueError")
        return "ValueError: on purpose" in log.read_text()

    wait_until(worker_writes_to_it, "a worker's line in the new file")


# Processes that the application makes


def test_forked_processes(gunid):
    """What multiprocessing.Pool does is beyond gevent."""
    server = gunid("forking:app", "-k", "gevent")
    worker = server.get("/pid").text
    assert server.get("/terminate").text == "-15"
    assert server.get("/exit").text == "0"
    assert server.get("/return").text == f"{worker} answers, parent"
    assert server.get("/pid").text == worker
    assert server.stop() == 0
    server.wait_gone()


# Loading

SITE = """
import threading, gevent, gevent.monkey, time
assert gevent.monkey.is_module_patched("socket") and gevent.monkey.is_module_patched("time")
ticks = 0

def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1

time.sleep(0.01)  # the hub runs
gevent.spawn(tick)
threading.Thread(target=tick, daemon=True).start()
gevent.get_hub().threadpool.apply(int)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    before = ticks
    while ticks < before + 4:
        time.sleep(0.01)
    gevent.get_hub().threadpool.apply(int)
    yield b"VERSION"
"""


@EACH_OR_PRELOADED
def test_reload(gunid, tmp_path, preload):
    """Also of an application that has used greenlets while it was imported."""
    site = tmp_path / "site_app.py"
    site.write_text(SITE.replace("VERSION", "one"))
    server = gunid("site_app:app", "-k", "gevent", "-w", "2", *preload, cwd=tmp_path)
    clients = [ask(server, "/") for _ in range(50)]
    assert {answer(client) for client in clients} == {(200, "3\r\none\r\n0\r\n\r\n")}
    site.write_text(SITE.replace("VERSION", "second"))
    result = server.gunictl("reload")
    assert (result.returncode, result.stderr) == (0, "")
    assert server.get("/").text == "second"
    wait_until(lambda: len(server.workers()) == 2, "the old workers to go")
    assert server.stop() == 0
    assert not server.log.matches("Traceback|SIGKILL|ERROR")


def test_configuration_file_that_uses_greenlets(gunid, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "from gevent import monkey; monkey.patch_all()\nimport time; time.sleep(0.01)\n"
        "worker_class = 'gevent'\n")
    (tmp_path / "site_app.py").write_text(SITE)
    server = gunid("site_app:app", "--preload", cwd=tmp_path)
    assert {server.get("/").text for _ in range(5)} == {"VERSION"}


@pytest.fixture
def without_gevent(tmp_path):
    """A directory for --pythonpath in which gevent says that it is not there."""
    directory = tmp_path / "packages" / "gevent"
    directory.mkdir(parents=True)
    (directory / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'gevent'\", name='gevent')\n")
    return directory.parent


def refusal(*arguments: object) -> list[str]:
    result = run(GUNID, "--bind", "127.0.0.1:0", "--control-socket", "unused.sock", *arguments,
                 cwd=APPS, env=environment())
    assert result.returncode == CONFIG, result.stderr
    return result.stderr.splitlines()


def test_without_gevent(without_gevent):
    lines = refusal("hello:app", "-k", "gevent", "--pythonpath", without_gevent)
    assert sum("gevent" in line for line in lines) == 1, lines
    assert any("worker class 'gevent' needs gevent, which cannot be imported: "
               "ModuleNotFoundError: No module named 'gevent'" in line for line in lines), lines
    assert not any("Traceback" in line for line in lines)


def test_reload_to_greenlets_that_are_not_there(gunid, tmp_path, without_gevent):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(f"pythonpath = '{APPS},{without_gevent}'\n")
    server = gunid("hello:app", cwd=tmp_path)
    config.write_text(config.read_text() + "worker_class = 'gevent'\n")
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "needs gevent" in result.stderr
    assert server.get("/").text == "hello"


def test_reload_from_threads_to_greenlets(gunid, tmp_path):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(f"pythonpath = '{APPS}'\nthreads = 2\n")
    server = gunid("hello:app", cwd=tmp_path)
    config.write_text(f"pythonpath = '{APPS}'\nworker_class = 'gevent'\n")
    assert server.gunictl("reload").returncode == 0
    assert server.get("/").text == "hello"


@pytest.mark.parametrize("name", ["eventlet", "tornado", "asgi", "nonsense",
                                  "gunicorn.workers.ggevent.GeventWorker"])
def test_class_that_there_is_not(tmp_path, name):
    config = tmp_path / "settings.py"
    config.write_text(f"worker_class = '{name}'\n")
    for arguments in (("-c", config), ("-k", name)):
        (line,) = refusal("hello:app", *arguments)
        assert f"worker class '{name}' is not supported; choose sync, gthread, gevent" in line


def test_worker_that_boots_into_a_crowd_lives(gunid, pool):
    """Its first requests are there before the hub runs for the first time."""
    server = gunid("greenlets:app", "-k", "gevent")
    for _ in range(3):
        (old,) = server.worker_pids()
        os.kill(old, SIGKILL)
        crowd = [pool.submit(server.get, "/") for _ in range(10)]
        (new,) = wait_until(lambda: server.worker_pids() - {old}, "another worker")
        assert {client.result().text for client in crowd} == {str(new)}
        assert server.get("/").text == str(new)
    assert server.stats()["totals"]["workers_crashed"] == 3


def test_worker_whose_descriptors_were_closed_ends(gunid, tmp_path):
    (tmp_path / "closing.py").write_text(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    if environ['PATH_INFO'] == '/close': os.closerange(3, 256)\n"
        "    return [b'']\n"
    )
    server = gunid("closing:app", "-k", "gevent", "--pythonpath", tmp_path)
    (old,) = server.worker_pids()
    with server.socket() as client:
        client.sendall(b"GET /close HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_until(lambda: server.worker_pids() - {old}, "another worker")
    assert server.get("/").status == 200
    assert len(server.log.text().splitlines()) < 100


# Frameworks


@EACH_OR_PRELOADED
@pytest.mark.parametrize("module, index", [("flask_app:app", "flask index"),
                                           ("django_app:application", "django index")])
def test_framework(gunid, preload, module, index):
    server = gunid(module, "-k", "gevent", *preload)
    clients = [ask(server, "/") for _ in range(50)]
    assert {answer(client) for client in clients} == {(200, index)}
    assert server.get("/error").status == 500
    assert server.get("/stream?lines=3").text == "line 0\nline 1\nline 2\n"
    assert server.stop() == 0
