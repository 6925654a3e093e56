"""gunid as process 1 of a container, and signals that mean nothing to it."""

import os
import shutil
import signal
import subprocess

import pytest

from processes import Process, all_processes, children
from programs import GUNID
from waiting import wait_until

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
STRAY = [signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGPIPE, signal.SIGIO,
         signal.SIGPWR, signal.SIGWINCH, signal.SIGRTMIN + 2, signal.SIGRTMAX]


@pytest.fixture(scope="module")
def namespaces() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("process namespaces are not permitted here")


def supervisor_below(pid: int) -> Process:
    return wait_until(
        lambda: next((child for child in children(pid) if child.exe == GUNID.resolve()), None),
        "gunid to start as process 1",
    )


@pytest.fixture
def container(gunid, namespaces):
    """A server that is process 1, and its supervisor as it is seen from outside."""
    server = gunid("processes_probe:app", "-w", "2", prefix=UNSHARE)
    supervisor = supervisor_below(server.pid)
    yield server, supervisor
    if server.process.poll() is None:  # unshare itself does not listen to signals meanwhile
        os.kill(supervisor.pid, signal.SIGTERM)
        server.wait_exit()


def namespace(process: Process) -> str:
    try:
        return os.readlink(f"/proc/{process.pid}/ns/pid")
    except OSError:
        return ""


def test_orphans_are_reaped(container):
    server, supervisor = container
    assert server.status()["pid"] == 1
    for _ in range(3):
        assert server.get("/orphan").json()["pid"] > 1

    def none_is_left() -> bool:
        inside = namespace(supervisor)
        left = [process for process in all_processes() if namespace(process) == inside]
        return len(left) == 4 and all(process.is_alive for process in left)

    wait_until(none_is_left, "supervisor, zygote and workers to be all that is left")


def test_term_stops_it(container):
    server, supervisor = container
    os.kill(supervisor.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    server.log.wait_for("Shutting down")


def test_signals_inside_a_container_do_not_end_it(container):
    server, supervisor = container
    for number in STRAY:
        os.kill(supervisor.pid, number)
    assert server.get("/identity").status == 200
    assert supervisor.is_alive


def test_stray_signals_do_not_end_the_supervisor(gunid):
    server = gunid("hello:app")
    for number in STRAY:
        os.kill(server.pid, number)
    assert server.gunictl("reload").returncode == 0
    assert server.get().status == 200
    assert server.stop() == 0
