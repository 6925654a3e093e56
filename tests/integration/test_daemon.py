"""--daemon: the command ends when the server serves, or says why it does not."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

import processes
from programs import APPS, GUNID, TIMEOUT, environment, gunictl, run
from server import UnixConnection, exchange
from test_service_manager import manager  # noqa: F401 - a fixture
from waiting import wait_until



class Daemons:
    """Starts gunid on a Unix socket in the test's directory, and ends what has come of it."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.socket = f"{directory}/app.sock"
        self.control = directory / "c.sock"
        self.pid_file = directory / "pid"
        self.mark = {processes.MARKER: os.urandom(8).hex()}

    def command(self, *arguments: object) -> list[object]:
        return [GUNID, *arguments, "--bind", f"unix:{self.socket}", "--control-socket",
                self.control, "--pid", self.pid_file]

    def __call__(self, *arguments: object, cwd: Path = APPS, env: dict | None = None,
                 **options) -> subprocess.CompletedProcess:
        return run(*self.command(*arguments), cwd=cwd, env=environment(**self.mark, **(env or {})),
                   **options)

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def get(self, target: str = "/") -> str:
        connection = UnixConnection(self.socket)
        try:
            return exchange(connection, "GET", target).text
        finally:
            connection.close()

    def processes(self) -> set[processes.Process]:
        return processes.marked(self.mark[processes.MARKER])

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not self.processes(), "the daemon to go")


def streams_of(process: processes.Process) -> list[str]:
    """But a worker's standard error, which is a pipe to the daemon."""
    streams = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)]
    return streams[:2] if streams[2].startswith("pipe:") else streams


@pytest.fixture
def daemons() -> Iterator[Daemons]:
    directory = Path(tempfile.mkdtemp(prefix="gunid-daemon-"))
    started = Daemons(directory)
    yield started
    for process in started.processes():
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not started.processes(), "the daemon's processes to go")
    shutil.rmtree(directory)


def test_the_command_ends_when_the_server_serves(daemons):
    # run() waits for the end of the command's pipes, too: so nobody has them any more.
    start = daemons("hello:app", "-w", "2", "--daemon")
    assert start.returncode == 0
    assert "2 workers are ready" in start.stderr
    assert "daemon's standard error is /dev/null: set errorlog" in start.stderr
    assert daemons.get() != ""

    pid = daemons.pid
    assert os.getsid(pid) not in (os.getsid(0), pid), "a session without a leader"
    assert processes.Process(pid).parent != os.getpid()
    for process in daemons.processes():
        assert all(stream == "/dev/null" for stream in streams_of(process))
        assert os.getsid(process.pid) == os.getsid(pid)
    assert gunictl("-s", daemons.control, "reload").returncode == 0
    assert gunictl("-s", daemons.control, "upgrade").returncode == 0
    assert daemons.pid == pid
    assert daemons.get() != ""
    assert gunictl("-s", daemons.control, "stop").returncode == 0
    assert not daemons.pid_file.exists() and not daemons.control.exists()


def test_the_configuration_file_may_want_it(daemons, tmp_path):
    log = tmp_path / "error.log"
    config = tmp_path / "conf.py"
    config.write_text(f"daemon = True\nerrorlog = {str(log)!r}\n")
    start = daemons("hello:app", "-c", config)
    assert (start.returncode, start.stderr) == (0, "")
    assert f"[{daemons.pid}] [INFO] Starting gunid" in log.read_text()
    assert log.read_text().count("Starting gunid") == 1
    daemons.stop()
    assert "Shutting down" in log.read_text()
    assert not daemons.pid_file.exists()


def test_an_application_that_cannot_be_loaded(daemons, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    in_front = daemons("broken:app", cwd=tmp_path)
    start = daemons("broken:app", "--daemon", cwd=tmp_path)
    assert start.returncode == in_front.returncode == 3
    assert "Traceback" in start.stderr and "nothing_of_that_name" in start.stderr
    wait_until(lambda: not daemons.processes(), "all processes to go")
    assert not daemons.pid_file.exists()


def test_a_bad_configuration(daemons, tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("daemon = True\nworkers = 'many'\n")
    start = daemons("hello:app", "-c", config)
    assert start.returncode == 1
    assert "invalid value 'many' for workers" in start.stderr
    start = daemons("hello:app", "-D", "--bind", "256.0.0.1:80")
    assert start.returncode == 1
    assert "256.0.0.1" in start.stderr


def test_a_socket_in_use(daemons):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(daemons.socket)
        other.listen()
        start = daemons("hello:app", "--daemon")
    assert start.returncode == 1
    assert daemons.socket in start.stderr
    assert not daemons.processes()


def test_check_config_stays_in_front(daemons):
    start = daemons("hello:app", "--daemon", "--check-config")
    assert start.returncode == 0
    assert not daemons.processes()


def test_output_is_inherited_where_it_is_no_terminal(daemons, tmp_path):
    output = tmp_path / "output"
    with output.open("w") as file:
        start = subprocess.run([str(part) for part in daemons.command("hello:app", "-D", "-R")],
                               cwd=APPS, env=environment(**daemons.mark), stdin=subprocess.DEVNULL,
                               stdout=file, stderr=file, timeout=TIMEOUT)
    assert start.returncode == 0
    daemons.stop()
    assert "Worker exiting" in output.read_text()
    assert "Shutting down" in output.read_text()


def test_a_terminal_is_let_go(daemons):
    ours, theirs = pty.openpty()
    start = subprocess.run([str(part) for part in daemons.command("hello:app", "-D", "-R")],
                           cwd=APPS, env=environment(**daemons.mark), stdin=theirs, stdout=theirs,
                           stderr=theirs, timeout=TIMEOUT)
    os.close(theirs)
    assert start.returncode == 0
    for process in daemons.processes():
        assert all(stream == "/dev/null" for stream in streams_of(process))
    os.close(ours)
    assert daemons.get() != ""


def test_an_interrupt_in_front_ends_the_start(daemons, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    command = [str(part) for part in daemons.command("slow:app", "--daemon")]
    front = subprocess.Popen(command, cwd=tmp_path, env=environment(**daemons.mark),
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in front.stderr:
        if "Booting worker" in line or "Listening" in line:
            break
    front.send_signal(signal.SIGINT)
    assert front.wait(TIMEOUT) == 0  # as the server that it stops
    front.stderr.close()
    wait_until(lambda: not daemons.processes(), "all processes to go")


def test_a_daemon_that_is_killed_while_it_starts(daemons, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    command = [str(part) for part in daemons.command("slow:app", "--daemon")]
    front = subprocess.Popen(command, cwd=tmp_path, env=environment(**daemons.mark),
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(daemons.pid_file.exists, "the daemon")
    os.kill(daemons.pid, signal.SIGKILL)
    assert "was killed before it served" in front.stderr.read()
    assert front.wait(TIMEOUT) == 1
    front.stderr.close()


def test_the_service_manager_learns_of_the_daemon(daemons, manager):  # noqa: F811
    start = daemons("hello:app", "--daemon",
                    env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
    assert start.returncode == 0
    manager.wait_for(rf"^MAINPID={daemons.pid}\n")
    at = manager.wait_for("READY=1\n")
    manager.wait_for("WATCHDOG=1", at)


def test_process_1_cannot_be_a_daemon():
    start = run("unshare", "--pid", "--fork", GUNID, "hello:app", "--daemon", "--bind",
                "127.0.0.1:0", cwd=APPS)
    if "unshare" in start.stderr:
        pytest.skip("no namespaces here")
    assert start.returncode == 1
    assert "daemon: process 1 cannot go into the background" in start.stderr
