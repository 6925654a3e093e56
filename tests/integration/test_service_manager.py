"""gunid as systemd's service: sd_notify, socket activation, fd:// and the unit files."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator

import pytest

import processes
from programs import APPS, GUNICTL, GUNID, ROOT, TIMEOUT, environment, run
from server import UnixConnection, exchange
from waiting import wait_until

SERVING = re.compile(r"READY=1\n")


class ServiceManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str):
        self.address = address
        self.messages: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def received(self) -> list[str]:
        while True:
            try:
                self.messages.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return self.messages

    def wait_for(self, pattern: str, start: int = 0) -> int:
        """Waits for a message that matches, and returns the number of the next."""

        def found() -> int:
            for number, message in enumerate(self.received()[start:], start + 1):
                if re.search(pattern, message):
                    return number
            return 0

        return wait_until(found, f"a notification {pattern!r}")


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    directory = Path(tempfile.mkdtemp(prefix="gunid-notify-"))
    receiver = ServiceManager(str(directory / "notify"))
    yield receiver
    receiver.socket.close()
    shutil.rmtree(directory)


def test_ready_is_said_when_all_workers_serve(gunid, manager, tmp_path):
    go = tmp_path / "go"
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
    )
    server = gunid("slow:app", "-w", "2", cwd=tmp_path, ready=False,
                   env={"NOTIFY_SOCKET": manager.address})
    server.log.wait_for("Booting worker", count=2)
    manager.wait_for("STATUS=starting")
    manager.wait_for("EXTEND_TIMEOUT_USEC=")
    assert not any(SERVING.search(message) for message in manager.received())
    go.touch()
    manager.wait_for("READY=1\nSTATUS=2 workers, generation 1\n")
    status = server.status()
    assert (status["state"], status["workers_ready"]) == ("serving", 2)


def test_reload_and_stop_are_told(gunid, manager, tmp_path):
    app = tmp_path / "changing.py"
    good = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
    app.write_text(good)
    server = gunid("changing:app", cwd=tmp_path, env={"NOTIFY_SOCKET": manager.address})
    at = manager.wait_for("READY=1\n")

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.signal(signal.SIGHUP)
    at = manager.wait_for("RELOADING=1\n", at)
    told = int(re.search(r"MONOTONIC_USEC=(\d+)\n", manager.messages[at - 1])[1])
    assert before <= told <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    at = manager.wait_for("READY=1\n", at)
    assert "STATUS=1 worker, generation 2\n" in manager.messages[at - 1]

    app.write_text("raise RuntimeError('spoilt')\n")
    assert server.gunictl("reload").returncode == 1
    at = manager.wait_for("RELOADING=1\n", at)
    at = manager.wait_for("READY=1\n", at)
    assert "generation 2; reload failed: cannot import 'changing': RuntimeError: spoilt\n" in manager.messages[at - 1]

    app.write_text(good)
    assert server.gunictl("reload").returncode == 0
    at = manager.wait_for("READY=1\n", at)
    assert "STATUS=1 worker, generation " in manager.messages[at - 1]
    assert "failed" not in manager.messages[at - 1]

    assert server.stop() == 0
    at = manager.wait_for("STOPPING=1\n", at)
    manager.wait_for("EXTEND_TIMEOUT_USEC=", at)


def test_stopping_is_told_while_requests_finish(gunid, manager, gate, pool):
    server = gunid("blocking:app", env={"NOTIFY_SOCKET": manager.address})
    request = pool.submit(server.get, gate.target)
    gate.wait_entered()
    server.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1\n")
    assert not request.done()
    gate.open()
    assert request.result().status == 200
    assert server.wait_exit() == 0


def test_abstract_notify_socket_and_scaling(gunid):
    manager = ServiceManager(f"@gunid-test-{os.getpid()}")
    try:
        server = gunid("hello:app", env={"NOTIFY_SOCKET": manager.address})
        at = manager.wait_for("READY=1\n")
        server.gunictl("scale", "2")
        manager.wait_for("^STATUS=2 workers, generation 1\n$", at)
    finally:
        manager.socket.close()


def test_the_first_start_that_fails_never_says_ready(gunid, manager):
    server = gunid("no_such_module:app", ready=False, env={"NOTIFY_SOCKET": manager.address})
    assert server.wait_exit() != 0
    assert not any(SERVING.search(message) for message in manager.received())


def test_watchdog_is_fed_by_the_loop(gunid, manager):
    server = gunid("hello:app",
                   env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    at = 0
    for _ in range(3):
        at = manager.wait_for("^WATCHDOG=1\n$", at)
    server.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: processes.Process(server.pid).state == "T", "the supervisor to stop")
        at = len(manager.received())
        time.sleep(0.5)  # what is stopped cannot feed it, however long this takes
        assert len(manager.received()) == at
    finally:
        server.signal(signal.SIGCONT)
    manager.wait_for("^WATCHDOG=1\n$", at)


def test_unusable_notify_socket_is_a_warning(gunid):
    server = gunid("hello:app", env={"NOTIFY_SOCKET": "nowhere"})
    server.log.wait_for(r"NOTIFY_SOCKET 'nowhere' is neither a path nor @name")
    assert server.get().status == 200


def test_the_application_sees_none_of_the_variables(gunid, manager):
    server = gunid("processes_probe:app",
                   env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "5000000",
                        "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"})
    seen = server.get("/identity").json()["environment"]
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
                "LISTEN_FDNAMES"} & set(seen)


# Socket activation


def activated(count: int, *fds: int) -> tuple[str, ...]:
    """Starts gunid with these descriptors as 3, 4, ... and the variables that go with them."""
    moves = " ".join(f"{number}<&{fd}" for number, fd in enumerate(fds, 3))
    script = f'export LISTEN_PID=$$ LISTEN_FDS={count}; exec "$@" {moves}'
    return ("bash", "-c", script, "bash")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(64)
        yield tcp


def get(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return int(client.makefile("rb").readline().split()[1])


def test_systemd_socket_activate(gunid, free_port, tmp_path):
    """The real one: it listens, and starts gunid at the first connection."""
    program = shutil.which("systemd-socket-activate")
    if program is None:
        pytest.skip("there is no systemd-socket-activate")
    path = Path(tempfile.mkdtemp(prefix="gunid-test-")) / "web.sock"
    prefix = [program, "-l", f"127.0.0.1:{free_port}", "-l", path]
    # It passes nothing on that it is not told to.
    for name in (processes.MARKER, "PYTHONDONTWRITEBYTECODE", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
        prefix += ["-E", name]
    server = gunid("hello:app", "-w", "2", prefix=tuple(prefix), ready=False)

    def connected() -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", free_port), timeout=TIMEOUT)
        except ConnectionRefusedError:
            return None

    with wait_until(connected, "systemd-socket-activate to listen") as first:
        first.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert first.makefile("rb").readline().split()[1] == b"200"
    server.wait_ready()
    server.log.wait_for("Socket activation: LISTEN_FDS takes the place of bind")
    server.log.wait_for(f"Listening at: http://127.0.0.1:{free_port} ")
    server.log.wait_for(f"Listening at: unix:{path} ")
    assert len(server.log.matches("Listening at")) == 2  # and not at --bind
    connection = UnixConnection(str(path))
    assert exchange(connection, "GET", "/").status == 200
    connection.close()
    assert server.stop() == 0
    assert path.exists()  # systemd's, not ours
    shutil.rmtree(path.parent)


def test_connections_wait_for_the_next_server(gunid, listener):
    """At a stop the socket stays open: what comes until the next start waits, and nothing is refused."""
    port = listener.getsockname()[1]
    options = {"prefix": activated(1, listener.fileno()), "pass_fds": (listener.fileno(),)}
    first = gunid("hello:app", "-w", "2", **options)
    assert get(port) == 200
    assert first.stop() == 0
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as waiting:
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        second = gunid("hello:app", **options)
        assert waiting.makefile("rb").readline().split()[1] == b"200"
    assert second.get().status == 200


def test_a_reload_keeps_inherited_sockets(gunid, listener):
    server = gunid("processes_probe:app", prefix=activated(1, listener.fileno()),
                   pass_fds=(listener.fileno(),))
    assert server.port == listener.getsockname()[1]
    assert server.gunictl("reload").returncode == 0
    assert server.get("/identity").status == 200
    assert len(server.log.matches("Listening at")) == 1
    # Programs that the application starts have the socket neither at its old number nor at another.
    assert server.get("/child").json()["sockets"] == 0


def test_bind_to_a_descriptor(gunid, listener):
    server = gunid("hello:app", bind=(f"fd://{listener.fileno()}",),
                   pass_fds=(listener.fileno(),))
    assert server.port == listener.getsockname()[1]
    assert server.get().status == 200
    assert server.gunictl("reload").returncode == 0
    assert server.get().status == 200
    assert server.stop() == 0
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


@pytest.mark.parametrize("what, why", [
    (lambda: socket.socket(), "does not listen"),
    (lambda: socket.socket(type=socket.SOCK_DGRAM), "not a stream socket"),
    (lambda: open("/dev/null"), "not a socket"),
])
def test_descriptor_that_is_no_listening_socket(what, why):
    with what() as bad:
        start = run(*activated(1, bad.fileno()), GUNID, "hello:app", pass_fds=(bad.fileno(),))
    assert start.returncode == 1
    assert start.stderr.startswith("gunid: inherited descriptor 3 is not a listening socket: ")
    assert why in start.stderr and len(start.stderr.splitlines()) == 1


def test_descriptor_that_is_not_open():
    start = run(*activated(2), GUNID, "hello:app")
    assert start.returncode == 1
    assert "inherited descriptor 3 is not a listening socket: it is not open" in start.stderr


@pytest.mark.parametrize("number", range(3, 16))
def test_descriptors_of_gunid_itself_cannot_be_named(number):
    """Numbers that were free at the start have become those of gunid's own sockets and files."""
    start = run(GUNID, "hello:app", "--bind", f"fd://{number}", cwd=APPS)
    assert start.returncode == 1
    message = f"invalid bind address 'fd://{number}': inherited descriptor {number} is not a"
    assert message in start.stderr


@pytest.mark.parametrize("address", ["fd://", "fd://x", "fd://-1", "fd://3x", "fd://99999999999"])
def test_descriptors_have_numbers(address):
    start = run(GUNID, "hello:app", "--bind", address, cwd=APPS)
    assert start.returncode == 1
    assert f"invalid bind address '{address}': " in start.stderr


# The unit files


def test_unit_files(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze")
    for unit in ("gunid.service", "gunid.socket"):
        text = (ROOT / "deploy" / "systemd" / unit).read_text()
        text = text.replace("/usr/local/bin/gunid ", f"{GUNID} ")
        text = text.replace("/usr/local/bin/gunictl ", f"{GUNICTL} ")
        text = text.replace("/srv/app\n", f"{tmp_path}\n")
        (tmp_path / unit).write_text(text)
    result = subprocess.run(
        [program, "verify", "--man=no", tmp_path / "gunid.service", tmp_path / "gunid.socket"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=TIMEOUT, check=False,
    )
    ours = [line for line in result.stdout.splitlines() if "gunid" in line]
    assert ours == []
    assert result.returncode == 0, result.stdout


def test_the_options_of_the_unit_are_gunids():
    unit = (ROOT / "deploy" / "systemd" / "gunid.service").read_text()
    words = re.search(r"^ExecStart=\S+ (.*)$", unit, re.M)[1].split()
    help_text = run(GUNID, "--help").stdout
    assert all(word in help_text for word in words if word.startswith("--"))
