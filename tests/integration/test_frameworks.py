"""Flask, Django and Falcon, through requests and curl."""

import functools
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
import requests

from programs import APPS, ROOT, TIMEOUT, run

UPLOAD = os.urandom(1024) * 1500


class Client(requests.Session):
    """A session of requests whose targets are relative to the server."""

    def __init__(self, server):
        super().__init__()
        self.trust_env = False
        self.url = server.url
        self.server = server

    def request(self, method, target, **options):
        options.setdefault("timeout", TIMEOUT)
        return super().request(method, self.url + target, **options)


CLASSES = [(), ("--threads", "4")]
CLASS_NAMES = ["sync", "threads"]


@pytest.fixture(scope="module")
def start(module_gunid):
    """Starts each application once for each worker class."""
    return functools.cache(lambda app, *arguments: module_gunid(app, "-w", "2", *arguments))


@pytest.fixture(params=CLASSES, ids=CLASS_NAMES)
def flask_server(request, start):
    return start("flask_app:app", *request.param)


@pytest.fixture(params=CLASSES, ids=CLASS_NAMES)
def django_server(request, start):
    return start("django_app", *request.param)


@pytest.fixture(params=CLASSES, ids=CLASS_NAMES)
def falcon_server(request, start):
    return start("falcon_app:app", *request.param)


# What all three can do.
@pytest.fixture(params=[
    pytest.param((app, *arguments), id=f"{app.partition('_')[0]}-{name}")
    for app in ("flask_app:app", "django_app", "falcon_app:app")
    for name, arguments in zip(CLASS_NAMES, CLASSES)
])
def server(request, start):
    return start(*request.param)


@pytest.fixture
def flask_client(flask_server):
    with Client(flask_server) as client:
        yield client


@pytest.fixture
def django_client(django_server):
    with Client(django_server) as client:
        yield client


@pytest.fixture
def falcon_client(falcon_server):
    with Client(falcon_server) as client:
        yield client


@pytest.fixture
def client(server):
    with Client(server) as client:
        yield client


def chunks(data: bytes):
    for start in range(0, len(data), 10_007):
        yield data[start : start + 10_007]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Flask


def test_flask_views(flask_client):
    assert flask_client.get("/").text == "flask index"
    document = flask_client.get("/users/7", params={"q": "ä b"}).json()
    assert document["id"] == 7
    assert document["args"] == {"q": "ä b"}
    assert document["agent"].startswith("python-requests/")


def test_flask_form_and_json(flask_client):
    form = {"name": "Zoë", "text": "a&b=c"}
    assert flask_client.post("/form", data=form).json() == form
    document = {"list": [1, 2, {"ü": None}]}
    assert flask_client.post("/json", json=document).json() == document


def test_flask_upload(flask_client):
    answer = flask_client.post("/upload", files={"file": ("näme.bin", UPLOAD)}, data={"note": "x"})
    assert answer.json() == {"name": "näme.bin", "note": "x", "sha256": sha256(UPLOAD)}


def test_flask_chunked_upload(flask_client):
    answer = flask_client.post("/body", data=chunks(UPLOAD))
    assert answer.json() == {"length": len(UPLOAD), "sha256": sha256(UPLOAD)}


def test_flask_session(flask_client):
    assert [flask_client.get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_flask_streaming(flask_client):
    with flask_client.get("/stream", params={"lines": 5000}, stream=True) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        lines = list(answer.iter_lines(decode_unicode=True))
    assert lines == [f"line {number}" for number in range(5000)]


def test_flask_downloads(flask_client):
    answer = flask_client.get("/download")
    assert answer.content == (APPS / "flask_app.py").read_bytes()
    assert "attachment" in answer.headers["Content-Disposition"]
    assert flask_client.get("/generated").content == b"generated" * 1000


def test_flask_redirect_and_errors(flask_client):
    answer = flask_client.get("/redirect")
    assert [step.status_code for step in answer.history] == [302]
    assert answer.text == "flask index"
    assert flask_client.get("/nowhere").status_code == 404
    assert flask_client.get("/teapot").status_code == 418
    assert flask_client.post("/users/7").status_code == 405


def test_flask_view_that_fails(flask_client):
    start = flask_client.server.log.mark()
    assert flask_client.get("/error").status_code == 500
    flask_client.server.log.wait_for("RuntimeError: flask view failed", start=start)


def test_flask_head_and_options(flask_client):
    answer = flask_client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len("flask index"))
    assert "GET" in flask_client.options("/").headers["Allow"]


def test_flask_with_curl(flask_server, tmp_path):
    url = flask_server.url
    assert run("curl", "-sSf", f"{url}/").stdout == "flask index"
    assert json.loads(run("curl", "-sSf", "-d", "a=1", f"{url}/form").stdout) == {"a": "1"}
    upload = tmp_path / "upload"
    upload.write_bytes(UPLOAD)
    answer = run("curl", "-sSf", "-F", f"file=@{upload}", "-F", "note=n", f"{url}/upload")
    assert json.loads(answer.stdout)["sha256"] == sha256(UPLOAD)
    cookies = tmp_path / "cookies"
    counts = [
        run("curl", "-sSf", "-b", cookies, "-c", cookies, f"{url}/count").stdout for _ in range(2)
    ]
    assert counts == ["1", "2"]
    # One curl, three requests: over one connection where the worker keeps it alive.
    assert run("curl", "-sSf", *[f"{url}/"] * 3).stdout == "flask index" * 3


# Django


def test_django_views(django_client):
    assert django_client.get("/").text == "django index"
    answer = django_client.get("/users/7", params={"q": "ä"}, headers={"Host": "example.org"})
    assert answer.json() == {"id": 7, "args": {"q": "ä"}, "host": "example.org"}


def test_django_form(django_client):
    assert django_client.post("/form", data={"name": "Zoë"}).status_code == 403
    headers = {"X-CSRFToken": django_client.get("/form").json()["token"]}
    answer = django_client.post("/form", data={"name": "Zoë"}, headers=headers)
    assert answer.json() == {"name": "Zoë"}
    invalid = django_client.post("/form", data={"name": "x" * 21}, headers=headers)
    assert invalid.status_code == 400
    assert "name" in invalid.json()


def test_django_upload(django_client):
    answer = django_client.post("/upload", files={"file": ("a.bin", UPLOAD)}, data={"note": "x"})
    assert answer.json() == {"name": "a.bin", "note": "x", "sha256": sha256(UPLOAD)}


def test_django_chunked_upload(django_client):
    answer = django_client.post("/body", data=chunks(UPLOAD))
    assert answer.json() == {"length": len(UPLOAD), "sha256": sha256(UPLOAD)}


def test_django_session(django_client):
    assert [django_client.get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_django_streaming(django_client):
    with django_client.get("/stream", params={"lines": 5000}, stream=True) as answer:
        lines = list(answer.iter_lines(decode_unicode=True))
    assert lines == [f"line {number}" for number in range(5000)]


def test_django_download(django_client):
    assert django_client.get("/download").content == (APPS / "django_app.py").read_bytes()


def test_django_redirect_and_errors(django_client):
    assert django_client.get("/redirect").text == "django index"
    assert django_client.get("/nowhere").status_code == 404
    assert django_client.get("/error").status_code == 500


def test_django_with_curl(django_server):
    assert run("curl", "-sSf", f"{django_server.url}/").stdout == "django index"
    answer = run("curl", "-sSf", "-d", "hello", f"{django_server.url}/body")
    assert json.loads(answer.stdout) == {"length": 5, "sha256": sha256(b"hello")}


# Falcon


def test_falcon_resources(falcon_client):
    assert falcon_client.get("/").text == "falcon index"
    answer = falcon_client.get("/users/7", params={"q": "ä"}, headers={"Host": "example.org"})
    assert answer.json() == {
        "id": 7, "args": {"q": "ä"}, "host": "example.org", "scheme": "http"
    }
    document = {"list": [1, 2, {"ü": None}]}
    assert falcon_client.post("/json", json=document).json() == document


def test_falcon_upload(falcon_client):
    answer = falcon_client.post("/upload", files={"file": ("a.bin", UPLOAD)}, data={"note": "x"})
    assert answer.json() == {"name": "a.bin", "note": "x", "sha256": sha256(UPLOAD)}


def test_falcon_redirect_and_errors(falcon_client):
    assert falcon_client.get("/redirect").text == "falcon index"
    assert falcon_client.get("/nowhere").status_code == 404
    assert falcon_client.post("/").status_code == 405
    assert falcon_client.get("/stream").status_code == 400  # ?lines is missing
    start = falcon_client.server.log.mark()
    assert falcon_client.get("/error").status_code == 500
    falcon_client.server.log.wait_for("RuntimeError: falcon resource failed", start=start)


def test_falcon_with_curl(falcon_server):
    assert run("curl", "-sSf", f"{falcon_server.url}/").stdout == "falcon index"
    answer = run("curl", "-sSf", "-d", "hello", f"{falcon_server.url}/digest")
    assert answer.stdout == sha256(b"hello")


# All of them: large bodies, and many clients


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """50 MB."""
    path = tmp_path_factory.mktemp("files") / "large.bin"
    path.write_bytes(os.urandom(1 << 20) * 50)
    return path


@pytest.fixture(scope="module")
def large_digest(large) -> str:
    return sha256(large.read_bytes())


def pieces(path: Path):
    with path.open("rb") as file:
        yield from iter(lambda: file.read(100_003), b"")


def digest_of(answer: requests.Response) -> str:
    digest = hashlib.sha256()
    for piece in answer.iter_content(65536):
        digest.update(piece)
    return digest.hexdigest()


def test_large_upload(client, large, large_digest):
    with large.open("rb") as file:
        assert client.post("/digest", data=file).text == large_digest


def test_large_upload_in_chunks(client, large, large_digest):
    assert client.post("/digest", data=pieces(large)).text == large_digest


def test_large_download_of_a_file(client, large, large_digest):
    with client.get("/file", params={"path": str(large)}, stream=True) as answer:
        assert digest_of(answer) == large_digest


def test_large_body_that_is_streamed_in_and_out(client, large, large_digest):
    with client.post("/echo", data=pieces(large), stream=True) as answer:
        assert "Content-Length" not in answer.headers
        assert digest_of(answer) == large_digest


def test_large_form_and_download_by_curl(server, large, large_digest, tmp_path):
    answer = run("curl", "-sSf", "-F", f"file=@{large}", "-F", "note=n", f"{server.url}/upload")
    assert json.loads(answer.stdout) == {"name": "large.bin", "note": "n", "sha256": large_digest}
    copy = tmp_path / "copy"
    target = f"{server.url}/file?path={large}"
    assert run("curl", "-sSf", "-o", copy, target).returncode == 0
    assert sha256(copy.read_bytes()) == large_digest


def test_32_clients_at_once(server, pool):
    """Each has its own session and its own stream."""
    start = threading.Barrier(32)

    def visit() -> tuple[list[str], int]:
        with Client(server) as client:
            start.wait(TIMEOUT)
            counts = [client.get("/count").text for _ in range(5)]
            return counts, len(client.get("/stream", params={"lines": 1000}).text.splitlines())

    visits = [pool.submit(visit) for _ in range(32)]
    assert [visit.result() for visit in visits] == [(["1", "2", "3", "4", "5"], 1000)] * 32


# The examples that we ship


@pytest.mark.parametrize("example, name", [("flask_app", "app:app"), ("django_app", "app")])
def test_example(gunid, example, name):
    server = gunid(name, "--chdir", ROOT / "deploy" / "examples" / example, "-w", "2")
    assert server.get().text.startswith("Hello from worker ")
    assert "world" in server.get("/hello/world").text
