"""--health-check: a worker answers its health path before it serves, or the deploy is rolled back."""

from pathlib import Path

import pytest

from programs import GUNID, run
from server import Server

KINDS = pytest.mark.parametrize(
    "kind",
    [(), ("--threads", "4"), ("--worker-class", "gevent"), ("--preload",)],
    ids=["sync", "threads", "gevent", "preload"],
)

APP = """
import os

seen = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    seen.append(f"{path} {environ['HTTP_HOST']} {environ.get('HTTP_USER_AGENT')}")
    if path == "/seen":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["\\n".join(seen).encode()]
    HEALTH
"""
HEALTHY = """start_response("204 No Content", [])
    return []"""
UNHEALTHY = """start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"the database is away"]"""
RAISING = """raise LookupError("no such table")"""
REDIRECTING = """start_response("302 Found", [("Location", "/login")])
    return []"""
HANGING = """import time
    time.sleep(3600)"""


@pytest.fixture
def project(tmp_path) -> Path:
    write(tmp_path, HEALTHY)
    return tmp_path


def write(project: Path, health: str) -> None:
    draft = project / "draft"
    draft.write_text(APP.replace("HEALTH", health))
    draft.rename(project / "checked_app.py")


@pytest.fixture
def serve(gunid, project):
    def start(*arguments, **options) -> Server:
        return gunid(
            "checked_app:app", "--health-check", "/up", *arguments, cwd=project, **options
        )

    return start


@KINDS
def test_the_path_is_asked_for_before_any_client(serve, kind):
    server = serve(*kind)
    assert server.get("/seen", headers={"User-Agent": "test"}).text.splitlines() == [
        "/up localhost gunid-health-check",
        f"/seen 127.0.0.1:{server.port} test",
    ]


def test_a_redirection_is_healthy(serve, project):
    write(project, REDIRECTING)
    assert serve().get("/seen").status == 200


@KINDS
def test_an_unhealthy_first_start_ends_with_3(serve, project, kind):
    write(project, UNHEALTHY)
    server = serve(*kind, ready=False)
    assert server.wait_exit() == 3
    server.log.wait_for(r"health check GET /up: 503 Service Unavailable")
    server.log.wait_for(r"the database is away")


@KINDS
def test_a_reload_to_unhealthy_code_is_rolled_back(serve, project, kind):
    server = serve("-w", "2", *kind)
    before = server.worker_pids()
    write(project, UNHEALTHY)
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "health check GET /up: 503 Service Unavailable" in result.stderr
    assert "the database is away" in result.stderr
    assert server.worker_pids() == before
    assert server.get("/seen").status == 200

    write(project, HEALTHY)
    assert server.gunictl("reload").returncode == 0
    assert not server.worker_pids() & before


def test_an_exception_is_in_the_log(serve, project):
    server = serve()
    write(project, RAISING)
    assert server.gunictl("reload").returncode == 1
    server.log.wait_for(r"health check GET /up: 500 Internal Server Error")
    server.log.wait_for(r"LookupError: no such table")
    server.log.wait_for(r'File ".*checked_app.py", line \d+, in app')


def test_a_health_path_that_hangs_meets_the_boot_deadline(serve, project):
    server = serve("--boot-timeout", "1")
    write(project, HANGING)
    result = server.gunictl("reload")
    assert result.returncode == 1
    assert "boot_timeout" in result.stderr
    assert "checked_app.py" in result.stderr
    assert server.get("/seen").status == 200


def test_it_is_not_counted_in_max_requests(serve):
    server = serve("--max-requests", "2")
    first = server.worker_pids()
    server.get("/seen")
    assert server.worker_pids() == first
    server.get("/seen")
    server.log.wait_for("is to be replaced; reason: max_requests")


def test_a_worker_told_to_go_while_it_checks_goes(serve, project):
    write(project, HANGING)
    server = serve(ready=False)
    server.log.wait_for("Booting worker")
    server.process.send_signal(2)
    assert server.wait_exit() == 0


@pytest.mark.parametrize("path", ["up", "http://localhost/up", "/up now", "/up\r\nX: y"])
def test_a_path_that_is_none_is_refused(path):
    result = run(GUNID, "hello:app", "--health-check", path)
    assert result.returncode in (1, 2)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "health_check" in lines[0] and "begins with '/'" in lines[0]
