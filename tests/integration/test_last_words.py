"""What a worker wrote to its standard error before it died is in its crash report."""

import os
import pty
import subprocess

import pytest

from programs import APPS, GUNID, TIMEOUT, environment
from server import Server
from waiting import wait_until


def die(server: Server, way: str) -> dict:
    known = len(server.read("/v1/crashes")["crashes"])
    with server.socket() as client:
        client.sendall(f"GET /{way} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: len(server.read("/v1/crashes")["crashes"]) > known, "the crash")
    return server.read("/v1/crashes")["crashes"][0]


@pytest.mark.parametrize("arguments", [(), ("--preload", "--threads", "2")], ids=["sync", "preload"])
def test_a_segfault_shows_where_it_was(gunid, arguments):
    server = gunid("dying:app", "-w", "1", *arguments)
    crash = die(server, "segfault")
    assert crash["message"] == "was killed by SIGSEGV"
    assert crash["requests"][0]["path"] == "/segfault"
    tail = crash["stderr_tail"]
    assert "about to /segfault\n" in tail
    assert "Fatal Python error: Segmentation fault" in tail
    assert 'dying.py", line 13 in app' in tail
    assert 'dying.py", line 13 in app' in server.gunictl("crashes").stdout
    server.log.wait_for("Fatal Python error: Segmentation fault")


def test_abort_and_exit(gunid):
    server = gunid("dying:app", "-w", "1")
    assert "Fatal Python error: Aborted" in die(server, "abort")["stderr_tail"]
    server.wait_ready()
    crash = die(server, "exit")
    assert crash["message"] == "exited with code 9"
    assert "\x1b[31mlast words\ufffd\n" in crash["stderr_tail"]
    shown = server.gunictl("crashes").stdout
    assert "last words" in shown and "\x1b" not in shown


def test_the_log_file_has_them(gunid, tmp_path):
    log = tmp_path / "error.log"
    server = gunid("dying:app", "-w", "1", "--log-file", log, "--name", "x",
                   bind=("127.0.0.1:0",), ready=False)
    wait_until(lambda: log.exists() and "Listening at" in log.read_text(), "the log")
    wait_until(lambda: server.status()["workers_ready"] == 1, "the worker")
    port = server.status()["listeners"][0]["address"].rpartition(":")[2]
    subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/segfault"], timeout=TIMEOUT)
    wait_until(lambda: "Fatal Python error" in log.read_text(), "the stack in the log")
    assert "wrote to its standard error at last:\nabout to /segfault" in log.read_text()


def test_a_child_of_the_application_holds_up_nothing(gunid):
    server = gunid("dying:app", "-w", "1")
    assert "about to /leave-a-child" in die(server, "leave-a-child")["stderr_tail"]
    server.wait_ready()
    server.log.wait_for("the child is still there")


def test_lines_of_workers_come_out_to_the_last(gunid):
    server = gunid("dying:app", "-w", "2")
    for number in range(50):
        assert server.get(f"/{number}").text == "0"
    assert server.stop() == 0
    server.log.thread.join(TIMEOUT)
    for number in range(50):
        assert len(server.log.matches(rf"^about to /{number}$")) == 1
    assert len(server.log.matches("Worker exiting")) == 2
    assert "Shutting down" in server.log.lines[-1].text


def test_after_an_upgrade_old_workers_are_still_heard(gunid):
    server = gunid("dying:app", "-w", "1", "--preload")
    old = server.worker_pids()
    assert server.gunictl("upgrade").returncode == 0
    assert server.gunictl("rollback").returncode == 0
    server.get("/after")
    server.log.wait_for("^about to /after$")
    assert "Segmentation fault" in die(server, "segfault")["stderr_tail"]
    assert not old & server.worker_pids()


def test_workers_keep_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(GUNID), "dying:app", "-w", "1", "--bind", f"unix:{tmp_path}/s", "--control-socket",
         f"{tmp_path}/c"],
        cwd=APPS, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        output = b""
        while b"worker is ready" not in output and b"workers are ready" not in output:
            output += os.read(ours, 4096)
        answer = subprocess.run(["curl", "-s", "--unix-socket", f"{tmp_path}/s", "http://x/"],
                                capture_output=True, timeout=TIMEOUT)
        assert answer.stdout == b"1"
    finally:
        process.terminate()
        try:
            while os.read(ours, 4096):
                pass
        except OSError:  # the last of the other end is closed
            pass
        assert process.wait(TIMEOUT) == 0
        os.close(ours)
