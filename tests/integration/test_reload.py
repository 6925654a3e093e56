"""Reload and restart: new code serves, or the old code goes on serving and the reason is told."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from project import Project
from server import Server, UnixConnection, exchange
from waiting import wait_until

PRELOAD = pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["each", "preload"])


class Visitors:
    """Clients that never pause, until the block ends; every answer counts."""

    def __init__(self, server: Server, clients: int = 4):
        self.server = server
        self.ended = Event()
        self.answers: set[tuple[int, str]] = set()
        self.pool = ThreadPoolExecutor(clients)
        self.visits = [self.pool.submit(self._visit) for _ in range(clients)]

    def _visit(self) -> None:
        connection = self.server.connect()
        while not self.ended.is_set():
            response = exchange(connection, "GET", "/")
            self.answers.add((response.status, response.text))
        connection.close()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: (200, text) in self.answers, f"a visitor to see {text!r}")

    def __enter__(self) -> "Visitors":
        return self

    def __exit__(self, *_) -> None:
        self.ended.set()
        self.pool.shutdown()
        for visit in self.visits:
            visit.result()


@PRELOAD
@pytest.mark.parametrize("threads", ["1", "4"])
def test_reload_serves_new_code_and_loses_no_request(serve, project, arguments, threads):
    server = serve("-w", "2", "--threads", threads, *arguments)
    before = server.worker_pids()
    assert server.get().text == "one"
    with Visitors(server) as visitors:
        visitors.wait_for("one")
        project.answer("second version")
        result = server.gunictl("reload")
        assert (result.returncode, result.stderr) == (0, "")
        assert server.get().text == "second version"
        visitors.wait_for("second version")
    assert visitors.answers == {(200, "one"), (200, "second version")}
    wait_until(lambda: len(server.workers()) == 2, "the old workers to go")
    assert not before & server.worker_pids()
    assert {worker["generation"] for worker in server.workers()} == {2}
    assert server.status()["generation"] == 2
    assert server.stats()["totals"]["reloads"] == 1


@PRELOAD
def test_hup_reloads(serve, project, arguments):
    server = serve("-w", "2", *arguments)
    project.answer("second version")
    server.signal(signal.SIGHUP)
    server.log.wait_for("Handling signal: hup")
    wait_until(lambda: server.get().text == "second version", "the new code")
    wait_until(
        lambda: {worker["generation"] for worker in server.workers()} == {2},
        "the old workers to go",
    )
    assert {server.get().text for _ in range(10)} == {"second version"}
    assert server.status()["generation"] == 2


def test_many_reloads(serve, project):
    server = serve("--preload", "--reload-settle", "0")
    for number in range(5):
        project.answer(f"version {'x' * number}")
        assert server.gunictl("reload").returncode == 0
        assert server.get().text == f"version {'x' * number}"
    assert server.status()["workers_ready"] == 1
    wait_until(lambda: len(server.processes()) == 4, "supervisor, two zygotes and one worker only")


BROKEN = {
    "syntax error": ("def app(:\n", "SyntaxError"),
    "import error": ("import no_such_module_here\n", "No module named 'no_such_module_here'"),
    "exception": ("raise RuntimeError('not today')\n", "RuntimeError: not today"),
    "no callable": ("other = 1\n", "Failed to find attribute 'app' in 'site_app'"),
    "not callable": ("app = 'text'\n", "must be callable"),
    "sys.exit": ("import sys\nsys.exit(1)\n", "SystemExit"),
    "crash": ("import os\nos._exit(7)\n", "exited with code 7"),
}


@PRELOAD
@pytest.mark.parametrize("source, reason", BROKEN.values(), ids=list(BROKEN))
def test_bad_reload_changes_nothing(serve, project, arguments, source, reason):
    server = serve("-w", "2", *arguments)
    workers = server.worker_pids()
    project.write(source)
    with Visitors(server) as visitors:
        visitors.wait_for("one")
        result = server.gunictl("reload")
    assert (result.returncode, result.stdout) == (1, "")
    assert reason in result.stderr
    if source.startswith(("def", "import no", "raise")):
        assert f'File "{project.module}", line 1' in result.stderr
    assert visitors.answers == {(200, "one")}
    assert server.worker_pids() == workers
    status = server.status()
    assert (status["state"], status["generation"], status["workers_ready"]) == ("serving", 1, 2)
    assert status["last_error"] != ""
    assert server.stats()["totals"]["reloads_failed"] == 1

    # With the code repaired, the next reload works.
    project.answer("repaired")
    assert server.gunictl("reload").returncode == 0
    assert server.get().text == "repaired"
    assert server.status()["last_error"] == ""


def test_bad_reload_as_json(serve, project):
    server = serve()
    project.write("raise RuntimeError('not today')\n")
    response = server.api("POST", "/v1/reload")
    error = response.json()["error"]
    assert response.status >= 400
    assert "not today" in error["message"]
    assert "\n" not in error["message"]
    assert "Traceback (most recent call last)" in error["detail"]
    assert error["code"] != ""


def test_bad_code_after_hup_is_in_the_log(serve, project):
    server = serve()
    workers = server.worker_pids()
    project.write("raise RuntimeError('not today')\n")
    server.signal(signal.SIGHUP)
    server.log.wait_for("RuntimeError: not today")
    wait_until(lambda: server.status()["last_error"], "the reload to fail")
    assert server.get().text == "one"
    assert server.worker_pids() == workers
    assert server.process.poll() is None


def test_dead_worker_is_replaced_by_working_code_after_a_bad_reload(serve, project):
    """With --preload the old zygote still holds the old code."""
    server = serve("--preload")
    project.write("raise RuntimeError('not today')\n")
    assert server.gunictl("reload").returncode == 1
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: server.worker_pids() - {worker}, "a replacement")
    assert server.get().text == "one"


def test_reload_that_hangs_is_given_up(serve, project, gate):
    server = serve("--boot-timeout", "2")
    project.write(f"open({str(gate.path)!r}).read()\n")
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "within boot_timeout" in result.stderr
    assert server.get().text == "one"
    assert server.status()["generation"] == 1


@pytest.mark.parametrize("workers", [1, 4])
def test_reload_takes_new_settings(serve, project, workers):
    project.config.write_text("workers = 2\n")
    server = serve()
    project.config.write_text(f"workers = {workers}\nthreads = 2\n")
    assert server.gunictl("reload").returncode == 0
    assert server.status()["workers_wanted"] == workers
    wait_until(lambda: len(server.workers()) == workers, f"{workers} workers")


def test_reload_with_a_bad_configuration_changes_nothing(serve, project):
    server = serve()
    for source, reason in [("workers = 0\n", "workers"), ("workers = \n", "SyntaxError")]:
        project.config.write_text(source)
        result = server.gunictl("reload")
        assert result.returncode == 1
        assert reason in result.stderr
    assert server.get().text == "one"
    assert server.status()["generation"] == 1


def test_reload_adds_and_removes_listeners(serve, project, free_port):
    project.config.write_text(f"bind = ['127.0.0.1:{free_port}']\n")
    server = serve(bind=())
    path = server.directory / "app.sock"
    project.config.write_text(f"bind = ['127.0.0.1:{free_port}', 'unix:{path}']\n")
    assert server.gunictl("reload").returncode == 0
    addresses = [listener["address"] for listener in server.status()["listeners"]]
    assert addresses == [f"http://127.0.0.1:{free_port}", f"unix:{path}"]
    assert server.get().text == "one"
    assert exchange(UnixConnection(str(path)), "GET", "/").text == "one"
    project.config.write_text(f"bind = ['127.0.0.1:{free_port}']\n")
    assert server.gunictl("reload").returncode == 0
    assert not path.exists()
    assert server.get().text == "one"


def test_scale_holds_across_reloads(serve, project):
    server = serve("-w", "2")
    assert server.gunictl("scale", "3").returncode == 0
    assert server.gunictl("reload").returncode == 0
    assert len(server.worker_pids()) == 3


def test_reload_keeps_totals(serve):
    server = serve()
    for _ in range(5):
        server.get()
    assert server.gunictl("reload").returncode == 0
    assert server.stats()["totals"]["requests"] == 5


def test_reload_lets_requests_in_flight_finish(gunid, pool, gate):
    server = gunid("blocking:app")
    client = pool.submit(server.get, gate.target)
    gate.wait_entered()
    reload = pool.submit(server.gunictl, "reload")
    wait_until(lambda: 2 in {worker["generation"] for worker in server.workers()
                             if worker["state"] == "ready"}, "the new generation")
    gate.open()
    assert client.result().text == "released"
    assert reload.result().returncode == 0


@PRELOAD
def test_restart_replaces_the_workers_of_the_generation(serve, arguments):
    server = serve("-w", "2", *arguments)
    before = server.worker_pids()
    with Visitors(server) as visitors:
        visitors.wait_for("one")
        result = server.gunictl("restart")
    assert (result.returncode, result.stderr) == (0, "")
    assert visitors.answers == {(200, "one")}
    after = server.worker_pids()
    assert len(after) == 2
    assert not before & after
    assert server.status()["generation"] == 1


def test_restart_with_bad_code_keeps_the_old_workers(serve, project):
    """Without --preload fresh workers import the code that is on disk now."""
    server = serve("-w", "2")
    workers = server.worker_pids()
    project.write("raise RuntimeError('not today')\n")
    result = server.gunictl("restart")
    assert result.returncode == 1
    assert "not today" in result.stderr
    assert server.get().text == "one"
    assert server.worker_pids() == workers


def test_hup_during_a_reload_that_fails_reloads_again(serve, project, gate):
    server = serve()
    project.write(f"open({str(gate.path)!r}).read()\nraise RuntimeError('half deployed')\n")
    server.signal(signal.SIGHUP)
    gate.wait_entered()
    project.answer("two")
    server.signal(signal.SIGHUP)
    server.log.wait_for("Handling signal: hup", count=2)
    gate.open()
    server.log.wait_for("half deployed")
    server.log.wait_for("Generation 3 serves")
    wait_until(lambda: server.get().text == "two", "the repaired code to serve")


def test_reload_is_refused_during_a_restart(serve, project, pool, gate):
    server = serve("-w", "2")
    source = project.module.read_text()
    project.write(f"open({str(gate.path)!r}).read()\n{source}")
    restart = pool.submit(server.gunictl, "restart")
    gate.wait_entered()
    refused = server.gunictl("reload")
    assert (refused.returncode, refused.stderr) == (1, "gunictl: reload: a restart is under way\n")
    project.write(source)
    gate.open()
    assert restart.result().returncode == 0


def test_hung_configuration_file_is_given_up_and_scale_works_meanwhile(serve, project, pool, gate):
    server = serve("--boot-timeout", "3")
    project.config.write_text(f"open({str(gate.path)!r}).read()\n")
    reload = pool.submit(server.gunictl, "reload")
    gate.wait_entered()
    assert server.gunictl("scale", "2").returncode == 0
    failed = reload.result()
    assert failed.returncode == 1
    assert "the configuration was not loaded within boot_timeout" in failed.stderr
    # The stack of what hung.
    server.log.wait_for(r"gunicorn\.conf\.py.*line 1")


def test_check_config_in_the_configuration_does_not_end_a_server(serve, project):
    server = serve()
    project.config.write_text("check_config = True\n")
    assert server.gunictl("reload").returncode == 0
    assert server.get().text == "one"


def test_reload_follows_a_symbolic_link_to_the_new_release(gunid, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Project(tmp_path / name).answer(name)
    current = tmp_path / "current"
    current.symlink_to("one")
    server = gunid("site_app:app", cwd=current, env={"PWD": str(current)})
    assert server.get().text == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(current)
    assert server.gunictl("reload").returncode == 0
    assert server.get().text == "two"


def test_more_workers_that_cannot_start_end_the_reload_and_not_the_server(gunid, tmp_path):
    (tmp_path / "limited.py").write_text(
        "import os\n"
        "os.close(os.open(f'booted-{os.getpid()}', os.O_CREAT))\n"
        "booted = [name for name in os.listdir() if name.startswith('booted-')]\n"
        "if len(booted) > 2 and not os.path.exists('unlimited'):\n"
        "    raise RuntimeError('too many')\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'served']\n"
    )
    config = tmp_path / "conf.py"
    config.write_text("workers = 1\nreload_settle = 0\n")
    server = gunid("limited:app", "-c", config, cwd=tmp_path)
    config.write_text("workers = 3\nreload_settle = 0\n")
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "too many" in result.stderr
    assert server.status()["generation"] == 2
    assert server.get().text == "served"
    # And it holds nothing up.
    config.write_text("workers = 1\nreload_settle = 0\n")
    (tmp_path / "unlimited").touch()
    assert server.gunictl("reload").returncode == 0
    server.wait_ready(1)
