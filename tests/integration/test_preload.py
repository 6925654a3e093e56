"""--preload: what the application leaves behind is told, and workers come in no time."""

import socket
import time

import pytest

LEAVING = """
import socket
import threading

def start_ticker():
    thread = threading.Thread(target=threading.Event().wait, name="ticker", daemon=True)
    thread.start()

def connect():
    return socket.create_connection(("127.0.0.1", PORT))

start_ticker()
connection = connect()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""

SLOW = """
import time

time.sleep(3)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def test_threads_and_sockets_that_stay_are_told(gunid, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as database:
        port = database.getsockname()[1]
        (tmp_path / "leaving_app.py").write_text(LEAVING.replace("PORT", str(port)))
        server = gunid("leaving_app:app", "--preload", cwd=tmp_path)
        assert server.get().text == "ok"
    server.log.wait_for(
        r"thread 'ticker', started at .*/leaving_app.py:7 in start_ticker: "
        "it will not run in the workers"
    )
    server.log.wait_for(
        rf"socket open, connected to 127.0.0.1:{port}, made at "
        r".*/leaving_app.py:10 in connect: all workers will share it"
    )
    assert len(server.log.matches("The preloaded application")) == 2


@pytest.mark.parametrize("kind", [(), ("--worker-class", "gevent")], ids=["sync", "gevent"])
def test_what_leaves_nothing_is_not_warned_of(gunid, kind):
    server = gunid("flask_app:app", "--preload", *kind)
    assert server.get().text == "flask index"
    assert not server.log.matches("The preloaded application|No report")


def test_scaling_does_not_import_again(gunid, tmp_path, record_property):
    (tmp_path / "slow_app.py").write_text(SLOW)
    server = gunid("slow_app:app", "--preload", cwd=tmp_path)
    started = time.monotonic()
    assert server.gunictl("scale", "4").returncode == 0
    took = time.monotonic() - started
    record_property("scale_ms", round(took * 1000))
    assert len(server.worker_pids()) == 4
    assert took < 2.5, "less than one import"
