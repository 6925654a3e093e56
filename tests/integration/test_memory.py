"""A gigabyte passes through a worker, and the worker stays small."""

import hashlib
import http.client
from pathlib import Path
from typing import Callable, Iterator

import pytest

from processes import Process
from programs import sanitized
from server import Server
from streams import PATTERN, pattern

SIZE = 1 << 30
MOST_MEMORY = 64 << 20


@pytest.fixture(scope="module")
def start(module_gunid) -> Callable[..., Server]:
    if sanitized():
        pytest.skip("a sanitizer has memory of its own")
    return module_gunid


@pytest.fixture(scope="module", params=[(), ("--threads", "4")], ids=["sync", "threads"])
def server(request, start) -> Server:
    return start("streams:app", *request.param)


@pytest.fixture(scope="module")
def flask_server(start) -> Server:
    return start("flask_app:app", "--threads", "2")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("files") / "gigabyte"
    with path.open("wb") as writer:
        writer.writelines(blocks())
    yield path
    path.unlink()


def blocks() -> Iterator[bytes]:
    return (PATTERN for _ in range(SIZE // len(PATTERN)))


def upload(server: Server, target: str, chunked: bool) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(SIZE)}
    connection.request("POST", target, blocks(), headers, encode_chunked=chunked)
    return connection.getresponse()


def peak_memory(server: Server) -> int:
    return max(Process(pid).memory("VmHWM") for pid in server.worker_pids())


@pytest.fixture
def assert_small(record_property) -> Callable[[Server], None]:
    def check(server: Server) -> None:
        peak = peak_memory(server)
        record_property("peak MB", round(peak / (1 << 20), 1))
        assert peak < MOST_MEMORY

    return check


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload(server, chunked, assert_small):
    with upload(server, "/check", chunked) as response:
        assert response.read() == b"%d intact" % SIZE
    assert_small(server)


def test_upload_to_flask(flask_server, assert_small):
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
    with upload(flask_server, "/digest", chunked=True) as response:
        assert response.read().decode() == digest.hexdigest()
    assert_small(flask_server)


@pytest.mark.parametrize("target", [f"/generated?size={SIZE}&piece=65536", "/file?path={file}"],
                         ids=["generator", "file"])
def test_download(server, target, file, assert_small):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", target.format(file=file))
    taken = 0
    with connection.getresponse() as response:
        while data := response.read(1 << 17):
            assert data == pattern(taken, len(data))
            taken += len(data)
    assert taken == SIZE
    assert_small(server)
