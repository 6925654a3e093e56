"""--access-logfile and --access-logformat: one line for each request that was answered."""

import base64
import os
import pwd
import re
import socket
import stat
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from signal import SIGUSR1

import pytest

from load_generator import LoadGenerator
from processes import Process
from programs import APPS, GUNID, TIMEOUT, run, sanitized
from server import exchange, read_all
from waiting import wait_until

NO_GREENLETS = pytest.mark.skipif(
    sanitized(), reason="the sanitizers take what greenlets do to the stack for damage"
)
KINDS = pytest.mark.parametrize("kind", [
    (),
    ("--threads", "4"),
    pytest.param(("-k", "gevent"), marks=NO_GREENLETS),
], ids=["sync", "threads", "gevent"])

COMBINED = re.compile(
    r'(?P<h>\S+) - (?P<u>\S+) \[(?P<t>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    r'"(?P<r>[^"]*)" (?P<s>\d{3}) (?P<b>\d+) "(?P<f>[^"]*)" "(?P<a>[^"]*)"'
)


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "access.log"


def lines(log: Path, count: int) -> list[str]:
    """All of them, when there are that many; a line may come a moment after its answer."""
    wait_until(lambda: log.read_text().count("\n") >= count, f"{count} lines in the access log")
    found = log.read_text()
    assert found.endswith("\n")
    assert found.count("\n") == count, found
    return found.splitlines()


def lines_of(gunid, log: Path, form: str, *targets: str, app: str = "logged:app") -> list[str]:
    server = gunid(app, "--access-logfile", log, "--access-logformat", form)
    for target in targets:
        server.get(target)
    return lines(log, len(targets))


# What a line says


def test_default_line_of_a_flask_application(gunid, log):
    server = gunid("flask_app:app", "--access-logfile", log)
    user = base64.b64encode(b"anna:secret").decode()
    headers = {"Referer": "http://from/", "User-Agent": "probe/1", "Authorization": f"Basic {user}"}
    body = server.get("/users/7?x=1", headers=headers).body
    assert server.get("/redirect").status == 302
    assert server.get("/error").status == 500
    full, redirect, error = [COMBINED.fullmatch(line) for line in lines(log, 3)]
    assert full["h"] == "127.0.0.1"
    assert full.group("u", "r", "s") == ("anna", "GET /users/7?x=1 HTTP/1.1", "200")
    assert full.group("b", "f", "a") == (str(len(body)), "http://from/", "probe/1")
    age = time.time() - time.mktime(time.strptime(full["t"][:20], "%d/%b/%Y:%H:%M:%S"))
    assert 0 <= age < TIMEOUT
    assert redirect.group("u", "r", "s", "f", "a") == ("-", "GET /redirect HTTP/1.1", "302", "-", "-")
    assert error["s"] == "500"


def test_all_atoms(gunid, log):
    names = "h l u t r m U q H s B b f a T M D L p".split() + ["{host}i", "{X-TRACE}o", "{remote_user}e"]
    form = "|".join(f"{name}=%({name})s" for name in names) + "|%(B)d%%"
    server = gunid("logged:app", "--access-logfile", log, "--access-logformat", form)
    server.request("HEAD", "/a%20b/?x=%22&y", headers={"Host": "there"})
    (line,) = lines(log, 1)
    *pairs, last = line.split("|")
    values = dict(pair.split("=", 1) for pair in pairs)
    assert re.fullmatch(r"\[.+\]", values.pop("t"))
    assert int(values.pop("D")) // 1000 == int(values.pop("M"))
    assert re.fullmatch(r"\d\.\d{6}", values.pop("L"))
    (worker,) = server.workers()
    assert values == {
        "h": "127.0.0.1", "l": "-", "u": "-", "r": "HEAD /a%20b/?x=%22&y HTTP/1.1", "m": "HEAD",
        "U": "/a b/", "q": "x=%22&y", "H": "HTTP/1.1", "s": "201", "B": "0", "b": "0", "f": "-",
        "a": "-", "T": "0", "p": f"<{worker['pid']}>", "{host}i": "there", "{X-TRACE}o": r"a\xFFb",
        "{remote_user}e": r'anna \"the admin\"',
    }
    assert last == "0%"


def test_variables_as_the_application_left_them(gunid, log):
    names = ["app.number", "APP.TEXT", "app.unprintable", "wsgi.url_scheme", "none", "Path_Info"]
    form = " ".join(f"%({{{name}}}e)s" for name in names)
    assert lines_of(gunid, log, form, "/x", "/y") == [
        rf"42 gr\xC3\xBCn \xE2\x82\xAC - http - {path}" for path in ("/x", "/y")
    ]


def test_nothing_is_left_of_the_request_before(gunid, log):
    form = "%(U)s %({X-Method}o)s %({app.number}e)s"
    server = gunid("logged:app", "--access-logfile", log, "--access-logformat", form, "--threads", 2)
    connection = server.connect()
    exchange(connection, "GET", "/one")
    connection.sock.sendall(b"GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert b" 400 " in read_all(connection.sock)
    assert lines(log, 2) == ["/one - 42", "/two - -"]


def test_a_client_cannot_forge_lines(gunid, log):
    server = gunid("hello:app", "--access-logfile", log, "--access-logformat", '"%(U)s" "%(a)s"')
    agent = '" 200 "\t\\"\xff'
    server.get("/%0A%22%1b", headers={"User-Agent": agent.encode("latin-1")})
    assert lines(log, 1) == [r'"/\x0A\"\x1B" "\" 200 \"\x09\\\"\xFF"']


def test_client_behind_a_proxy(gunid, log):
    server = gunid("hello:app", "--access-logfile", log, "--access-logformat", "%(h)s %(r)s",
                   "--proxy-protocol", "v1", "--proxy-allow-from", "*")
    with server.socket() as client:
        client.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 1234 80\r\nGET /p HTTP/1.0\r\n\r\n")
        assert b" 200 " in read_all(client)
    assert lines(log, 1) == ["192.0.2.9 GET /p HTTP/1.0"]


# Requests that do not end as they should


def test_requests_that_are_refused(gunid, log):
    server = gunid("hello:app", "--access-logfile", log, "--header-timeout", 0.3,
                   "--access-logformat", "%(h)s %(r)s %(s)s %(D)s %(a)s", "--limit-request-body", 5)
    for request in (b"nonsense\r\n\r\n",
                    b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n",
                    b"GET /twice HTTP/1.1\r\nUser-Agent: p\r\nHost: a\r\nHost: b\r\n\r\n",
                    b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n",
                    b"GET /late HTTP/1.1\r\nHost:"):
        with server.socket() as client:
            client.sendall(request)
            assert read_all(client)
    assert lines(log, 5) == [
        "127.0.0.1 - 400 - -",
        "127.0.0.1 - 414 - -",
        "127.0.0.1 GET /twice HTTP/1.1 400 - p",
        "127.0.0.1 POST /large HTTP/1.1 413 - -",
        "127.0.0.1 GET /late HTTP/1.1 408 - -",
    ]


@pytest.mark.parametrize("kind", [(), ("--threads", "2")], ids=["sync", "threads"])
@pytest.mark.parametrize("function", ["/loop", "/stubborn"])
def test_requests_that_hang(gunid, log, kind, function):
    server = gunid("hanging:app", "--timeout", 1, "--access-logfile", log,
                   "--access-logformat", "%(U)s %(s)s %(T)s", *kind)
    assert server.get(function).status == 504
    (line,) = lines(log, 1)
    assert re.fullmatch(rf"{function} 504 [1-9]\d*", line)
    server.close()
    assert lines(log, 1) == [line]


def test_a_health_check_is_not_logged(gunid, log):
    server = gunid("hello:app", "-w", 2, "--health-check", "/up", "--access-logfile", log,
                   "--access-logformat", "%(U)s")
    server.get("/real")
    assert lines(log, 1) == ["/real"]


# One line for each, whoever writes


@KINDS
def test_pipelined_requests(gunid, log, kind):
    server = gunid("hello:app", "--access-logfile", log, "--access-logformat", "%(U)s %(b)s", *kind)
    count = 1 if kind == () else 300  # sync closes
    with server.socket() as client:
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(count - 1)))
        client.sendall(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_all(client).count(b"HTTP/1.1 200 OK") == count
    assert lines(log, count) == [f"/{i} 5" for i in range(count - 1)] + ["/last 5"]


@KINDS
def test_nothing_is_lost_under_load_with_reloads(gunid, log, kind):
    """Several workers write one file, and are replaced meanwhile; the last ones are stopped."""
    form = "%(U)s %(s)s %(b)s %({X}i)s end"
    server = gunid("numbered:app", "-w", 3, "--keep-alive", 30, "--reload-settle", 0.1,
                   "--access-logfile", log, "--access-logformat", form, *kind)
    with LoadGenerator(server.url.removeprefix("http://")) as load:
        for _ in range(3):
            assert server.gunictl("reload").returncode == 0
        assert server.gunictl("scale", 1).returncode == 0
        result = load.end()
    assert server.stop() == 0
    seen = Counter()
    for line in log.read_text().splitlines():
        match = re.fullmatch(r"/(\d+) 200 (\d+) - end", line)
        assert match and int(match[2]) == 300 * (len(match[1]) + 1), line
        seen[match[1]] += 1
    assert set(seen.values()) == {1}
    assert len(seen) == result["counts"]["answered"] > 100, result


KIND_OPTIONS = [(), ("--threads", "2")]


@pytest.mark.parametrize("kind", KIND_OPTIONS, ids=["sync", "threads"])
def test_a_line_does_not_wait_for_a_long_request(gunid, log, gate, pool, kind):
    server = gunid("blocking:app", "--access-logfile", log, "--access-logformat", "%(U)s", *kind)
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    connections[0].sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
    connections[1].sendall(f"GET {gate.target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    gate.wait_entered()
    assert lines(log, 1) == ["/pid"]
    gate.open()
    assert sorted(lines(log, 2)) == ["/fifo", "/pid"]
    for connection in connections:
        connection.close()


def test_a_stop_that_cuts_a_call_keeps_the_lines(gunid, log, gate, pool):
    server = gunid("blocking:app", "--threads", 2, "--access-logfile", log,
                   "--access-logformat", "%(U)s")
    pool.submit(server.get, gate.target)
    gate.wait_entered()
    server.get("/pid")
    server.close()
    assert "/pid" in log.read_text().splitlines()


@pytest.mark.parametrize("kind", KIND_OPTIONS, ids=["sync", "threads"])
def test_forked_processes_write_no_line(gunid, log, kind):
    server = gunid("forking:app", "--access-logfile", log, "--access-logformat", "%(U)s", *kind)
    targets = ["/pid", "/exit", "/return", "/pool", "/descriptors"]
    answers = [server.get(target).text for target in targets]
    # 3 is the directory that ls reads: the log is not inherited.
    assert answers[-1].split() == ["0", "1", "2", "3"]
    # On other threads a line may overtake that of a request whose close() goes on.
    assert sorted(lines(log, len(targets))) == sorted(targets)


def test_a_process_that_close_forks_does_not_serve(gunid, log):
    server = gunid("logged:app", "--access-logfile", log, "--access-logformat", "%(U)s")
    for target in ("/fork", "/fork", "/"):
        assert server.get(target).body == b"onetwo"
    assert lines(log, 3) == ["/fork", "/fork", "/"]
    assert server.stop() == 0
    server.wait_gone()


# Where it goes


def test_standard_output(gunid):
    server = gunid("hello:app", "--access-logfile", "-", "--access-logformat", "access %(r)s %(s)s")
    server.get("/to-stdout")
    server.log.wait_for(r"^access GET /to-stdout HTTP/1\.1 200$")


def test_standard_output_is_a_pipe_of_its_own(tmp_path, free_port):
    """Errors go elsewhere, and a reader sees lines at once."""
    with subprocess.Popen(
        [GUNID, "hello:app", "--bind", f"127.0.0.1:{free_port}", "--access-logfile", "-",
         "--access-logformat", "%(r)s", "--control-socket", tmp_path / "c"],
        cwd=APPS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as server:
        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", free_port)) as client:
                    client.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                    return b" 200 " in read_all(client)
            except OSError:
                return False

        wait_until(answers, "the server")
        assert server.stdout.readline() == "GET /x HTTP/1.0\n"
        server.terminate()
        assert server.wait(TIMEOUT) == 0


def test_none_unless_asked_for(gunid, tmp_path):
    server = gunid("hello:app", cwd=APPS)
    server.get("/quiet")
    assert server.stop() == 0
    assert "/quiet" not in server.log.text()


def test_relative_path_is_of_chdir(gunid, tmp_path):
    server = gunid("hello:app", "--chdir", tmp_path, "--pythonpath", APPS,
                   "--access-logfile", "access.log", "--access-logformat", "%(U)s")
    server.get("/x")
    assert lines(tmp_path / "access.log", 1) == ["/x"]


def test_rotation(gunid, log):
    old = log.with_name("access.log.1")
    server = gunid("hello:app", "-w", 2, "--access-logfile", log, "--access-logformat", "%(U)s")
    server.get("/before")
    lines(log, 1)
    log.rename(old)
    server.get("/still-there")
    assert lines(old, 2) == ["/before", "/still-there"]
    server.signal(SIGUSR1)
    wait_until(log.exists, "the new file")
    wait_until(lambda: all(Process(pid).has_open(log) for pid in server.worker_pids()),
               "the workers to write to it")
    server.get("/after")
    assert lines(log, 1) == ["/after"]
    assert lines(old, 2)


def test_rotation_under_load_loses_nothing(gunid, log):
    server = gunid("numbered:app", "-w", 2, "--threads", 2, "--access-logfile", log,
                   "--access-logformat", "%(U)s")
    with LoadGenerator(server.url.removeprefix("http://")) as load:
        for number in range(5):
            log.rename(log.with_name(f"access.log.{number}"))
            server.signal(SIGUSR1)
            wait_until(lambda: log.exists() and log.stat().st_size > 1000, "the new file")
        result = load.end()
    assert server.stop() == 0
    found = [line for file in log.parent.glob("access.log*") for line in file.read_text().splitlines()]
    assert len(found) == len(set(found)) == result["counts"]["answered"]


# Settings and reloads


@pytest.mark.parametrize("arguments, code, message", [
    (("--access-logformat", "%(h)s %(s)5s"), 2,
     r"invalid value '%\(h\)s %\(s\)5s' for access_log_format \(command line\): expected "
     r"%\(ATOM\)s or %% at '%\(s\)5s'"),
    (("--access-logfile", "/nonexistent/access.log"), 1,
     "cannot open log file /nonexistent/access.log: No such file or directory"),
])
def test_what_cannot_be(arguments, code, message, tmp_path):
    start = run(GUNID, "hello:app", *arguments, "--bind", "127.0.0.1:0",
                "--control-socket", tmp_path / "control.sock", cwd=APPS)
    assert start.returncode == code, start.stderr
    assert re.search(message, start.stderr), start.stderr


def test_a_reload_with_a_bad_format_or_path_changes_nothing(gunid, log, tmp_path):
    config = tmp_path / "conf.py"
    good = f"accesslog = {str(log)!r}\naccess_log_format = '%(U)s'\n"
    config.write_text(good)
    server = gunid("hello:app", "-c", config)
    for bad, message in (("access_log_format = '%(h'", "access_log_format"),
                         ("accesslog = '/nonexistent/x'", "cannot open log file /nonexistent/x")):
        config.write_text(good + bad + "\n")
        result = server.gunictl("reload")
        assert result.returncode == 1 and message in result.stderr, result
        server.get("/x")
    assert lines(log, 2) == ["/x", "/x"]


def test_a_reload_moves_the_log_and_ends_it(gunid, log, tmp_path):
    config, other = tmp_path / "conf.py", tmp_path / "other.log"
    config.write_text(f"accesslog = {str(log)!r}\naccess_log_format = '%(U)s'\n")
    server = gunid("hello:app", "-c", config)
    server.get("/one")
    config.write_text(f"accesslog = {str(other)!r}\naccess_log_format = '%(U)s %(s)s'\n")
    assert server.gunictl("reload").returncode == 0
    server.get("/two")
    assert lines(other, 1) == ["/two 200"]
    config.write_text("accesslog = None\n")
    assert server.gunictl("reload").returncode == 0
    server.get("/three")
    assert server.stop() == 0
    assert (log.read_text(), other.read_text()) == ("/one\n", "/two 200\n")


# What must not hurt


def test_full_disk(gunid):
    server = gunid("hello:app", "--threads", 2, "--access-logfile", "/dev/full")
    for _ in range(20):
        assert server.get().text == "hello"
    server.log.wait_for("write to the access log: No space left on device")
    assert len(server.log.matches("write to the access log")) == 1


def test_closed_pipe(gunid, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = gunid("hello:app", "--access-logfile", fifo, "--access-logformat", "%(U)s")
    server.get("/read")
    wait_until(lambda: readable(reader), "the first line")
    os.close(reader)
    for _ in range(5):
        assert server.get("/lost").text == "hello"
    server.log.wait_for("write to the access log: Broken pipe")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server.get("/again")
    server.log.wait_for("The access log can be written again; 5 lines are lost")
    wait_until(lambda: readable(reader), "the next line")
    os.close(reader)


def readable(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_file_belongs_to_the_user(gunid):
    """Made by root where the user cannot make files, also after a rotation."""
    nobody = pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory(prefix="gunid-test-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        log, old = directory / "access.log", directory / "access.log.1"
        server = gunid("hello:app", "--user", "nobody", "--access-logfile", log,
                       "--access-logformat", "%(U)s")
        server.get("/one")
        assert lines(log, 1) == ["/one"]
        assert log.stat().st_uid == nobody
        assert stat.S_IMODE(log.stat().st_mode) == 0o644
        log.rename(old)
        server.signal(SIGUSR1)
        wait_until(log.exists, "the file to be made anew")
        (pid,) = server.worker_pids()
        wait_until(lambda: Process(pid).has_open(log), "the worker to write to it")
        server.get("/two")
        assert lines(log, 1) == ["/two"]
        assert log.stat().st_uid == nobody
        server.close()
