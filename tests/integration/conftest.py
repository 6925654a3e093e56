"""Fixtures: servers that end with the test or the module that asked for them."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

import pytest

from project import Project
from server import Gate, Server

running: list[Server] = []


class Servers:
    """Starts servers and closes them all at the end."""

    def __init__(self):
        self.started: list[Server] = []

    def __call__(self, *arguments: object, ready: bool = True, **options) -> Server:
        server = Server(*arguments, **options)
        self.started.append(server)
        running.append(server)
        return server.wait_ready() if ready else server

    def close(self) -> None:
        failures = []
        for server in reversed(self.started):
            try:
                server.close()
            except Exception as failure:  # the others must be closed, too
                failures.append(failure)
            running.remove(server)
        if failures:
            raise failures[0]


def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.close()


# gunid("app:app", "-w", "2") starts a server; with ready=False it does not wait for the workers.
gunid = pytest.fixture(servers, name="gunid")
module_gunid = pytest.fixture(servers, name="module_gunid", scope="module")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def serve(gunid, project: Project):
    """Starts servers of the project."""

    def start(*arguments: object, **options) -> Server:
        return gunid("site_app:app", *arguments, cwd=project.directory, **options)

    return start


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Clients that run beside the test."""
    executor = ThreadPoolExecutor(32)
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of the running servers below a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in running:
            report.sections.append((f"log of gunid {server.pid}", server.log.text()))


def pytest_terminal_summary(terminalreporter):
    """Shows what tests have measured and noted with record_property."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call" and report.user_properties:
            figures = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid}: {figures}")
