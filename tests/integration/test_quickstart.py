"""deploy/quickstart: builds the release and serves the example until Ctrl-C."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import uuid

import pytest

import processes
from programs import ROOT, TIMEOUT, environment, run
from server import Log
from waiting import wait_until

BUILD_TIMEOUT = 1800.0


class Quickstart:
    def __init__(self, port: int):
        self.marker = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [ROOT / "deploy" / "quickstart", str(port)],
            env=environment(**{processes.MARKER: self.marker}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.log = Log(self.process.stdout)

    def processes(self) -> set[processes.Process]:
        return processes.marked(self.marker)

    def close(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def quickstart():
    started = []

    def start(port: int) -> Quickstart:
        started.append(Quickstart(port))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.parametrize("interrupt", [os.kill, os.killpg], ids=["script", "group"])
def test_quickstart_serves_until_ctrl_c(quickstart, free_port, interrupt):
    script = quickstart(free_port)
    script.log.wait_for("Ctrl-C stops it", timeout=BUILD_TIMEOUT)

    # What it tells to try is right, word for word.
    lines = re.findall(r"^  (\S.*)$", script.log.text(), re.M)
    tried = [shlex.split(line) for line in lines if "curl" in line or "gunictl" in line]
    assert [os.path.basename(command[0]) for command in tried] == ["curl"] * 2 + ["gunictl"] * 3
    results = [run(*command) for command in tried]
    assert [result.returncode for result in results] == [0] * 5, results
    assert results[0].stdout.startswith("Hello from worker ")
    assert results[1].stdout == "Hello, world!\n"
    assert f"http://127.0.0.1:{free_port}" in results[2].stdout

    interrupt(script.process.pid, signal.SIGINT)
    assert script.process.wait(TIMEOUT) == 0
    wait_until(lambda: not script.processes(), "every process to go")
    assert "Traceback" not in script.log.text()


def test_quickstart_serves_with_two_workers(quickstart, free_port):
    script = quickstart(free_port)
    script.log.wait_for("Booting worker", count=2, timeout=BUILD_TIMEOUT)
    script.log.wait_for("Ctrl-C stops it")
    assert len(script.log.matches("Booting worker")) == 2


def test_quickstart_tells_that_the_port_is_in_use(quickstart):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        script = quickstart(port)
        assert script.process.wait(BUILD_TIMEOUT) == 1
    script.log.thread.join(TIMEOUT)
    assert re.search(rf"127\.0\.0\.1:{port}.*Address already in use", script.log.text())
    assert "The server is up" not in script.log.text()


def test_continuous_integration_runs_the_tests():
    assert "tests/run" in (ROOT / ".ci" / "run").read_text()
    for script in (".ci/run", "tests/run", "deploy/quickstart"):
        assert os.access(ROOT / script, os.X_OK), script


@pytest.mark.parametrize(
    "arguments", [("--preset", "nonsense"), ("--preset",), ("--what",)], ids=str
)
def test_tests_run_refuses_bad_usage(arguments):
    result = run(ROOT / "tests" / "run", *arguments)
    assert result.returncode == 2
    assert "usage: tests/run" in result.stderr
