"""PEP 3333, rule by rule, for the sync and the threaded worker."""

import http.client
import os
import re
import socket

import pytest

from programs import run
from server import exchange, read_all
from waiting import wait_until


@pytest.fixture(scope="module", params=[(), ("--threads", "2")], ids=["sync", "threads"])
def server(request, module_gunid):
    return module_gunid("wsgi_probe:app", *request.param)


def environ(server, target="/environ", **options):
    return server.request(options.pop("method", "GET"), target, **options).json()["values"]


def closed(server) -> list[str]:
    return server.get("/closed").json()


# environ


def test_environ_has_the_keys_of_cgi(server):
    values = environ(server, "/environ?a=1&b=%20")
    assert values["REQUEST_METHOD"] == "GET"
    assert values["SCRIPT_NAME"] == ""
    assert values["PATH_INFO"] == "/environ"
    assert values["QUERY_STRING"] == "a=1&b=%20"
    assert values["RAW_URI"] == "/environ?a=1&b=%20"
    assert values["SERVER_NAME"] == "127.0.0.1"
    assert values["SERVER_PORT"] == str(server.port)
    assert values["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert values["SERVER_SOFTWARE"].startswith("gunid/")
    assert values["REMOTE_ADDR"] == "127.0.0.1"
    assert 0 < int(values["REMOTE_PORT"]) < 65536
    assert values["HTTP_HOST"] == f"127.0.0.1:{server.port}"
    assert "CONTENT_LENGTH" not in values
    assert "CONTENT_TYPE" not in values


def test_environ_has_the_keys_of_wsgi(server, request):
    values = environ(server)
    assert values["wsgi.version"] == [1, 0]
    assert values["wsgi.url_scheme"] == "http"
    assert values["wsgi.multithread"] is ("threads" in request.node.callspec.id)
    assert values["wsgi.multiprocess"] is True  # gunictl may scale one worker to many
    assert values["wsgi.run_once"] is False
    assert values["wsgi.input_terminated"] is True
    assert "wsgi.file_wrapper" in values


def test_environ_types(server):
    document = server.get("/environ").json()
    assert not document["not_exact_dict"]
    assert document["not_str"] == []
    assert document["input_methods"] == ["read", "readline", "readlines", "__iter__"]
    assert document["errors_methods"] == ["write", "writelines", "flush"]


def test_environ_of_a_body(server):
    values = environ(server, method="POST", body=b"hello", headers={"Content-Type": "text/x"})
    assert (values["CONTENT_LENGTH"], values["CONTENT_TYPE"]) == ("5", "text/x")
    assert "HTTP_CONTENT_LENGTH" not in values
    assert "HTTP_CONTENT_TYPE" not in values


def test_environ_of_a_chunked_body_has_its_length(server):
    values = environ(server, method="POST", body=iter([b"hel", b"lo"]), encode_chunked=True,
                     headers={"Transfer-Encoding": "chunked"})
    assert values["CONTENT_LENGTH"] == "5"


def test_environ_of_headers(server):
    answer = server.raw(
        b"GET /environ HTTP/1.1\r\nhost: example.org\r\nConnection: close\r\n"
        b"X-One: 1\r\nx-two:  2  \r\nX-Many: a\r\nX-Many: b\r\nCookie: c=1\r\nCookie: d=2\r\n"
        b"X_Forged: 1\r\nX-Latin: caf\xe9\r\n\r\n"
    )
    assert b'"HTTP_HOST": "example.org"' in answer
    assert b'"HTTP_X_ONE": "1"' in answer
    assert b'"HTTP_X_TWO": "2"' in answer
    assert re.search(rb'"HTTP_X_MANY": "a, ?b"', answer)
    assert b'"HTTP_COOKIE": "c=1; d=2"' in answer
    assert b'"HTTP_X_LATIN": "caf\\u00e9"' in answer
    assert b"FORGED" not in answer


@pytest.mark.parametrize(
    "target, path, query",
    [
        ("/environ", "/environ", ""),
        ("/environ?", "/environ", ""),
        ("/%65nviron?a=%62", "/environ", "a=%62"),
        ("http://example.org/environ?x", "/environ", "x"),
    ],
)
def test_environ_of_targets(server, target, path, query):
    values = environ(server, target)
    assert (values["PATH_INFO"], values["QUERY_STRING"]) == (path, query)


def test_environ_is_fresh_for_each_request(server):
    assert environ(server, headers={"X-Once": "1"})["HTTP_X_ONCE"] == "1"
    assert "HTTP_X_ONCE" not in environ(server)


# wsgi.input and wsgi.errors

LINES = b"first\nsecond line\n\nlast"


@pytest.mark.parametrize(
    "calls, results",
    [
        (["read:"], [LINES.decode()]),
        (["read:-1"], [LINES.decode()]),
        (["read:None"], [LINES.decode()]),
        (["read:3", "read:0", "read:100", "read:5"], ["fir", "", "st\nsecond line\n\nlast", ""]),
        (["readline:"] * 5, ["first\n", "second line\n", "\n", "last", ""]),
        (["readline:3", "readline:3", "readline:-1"], ["fir", "st\n", "second line\n"]),
        (["readlines:"], [["first\n", "second line\n", "\n", "last"]]),
        (["readlines:1", "readlines:"], [["first\n"], ["second line\n", "\n", "last"]]),
        (["iterate:"], [["first\n", "second line\n", "\n", "last"]]),
        (["readline:", "iterate:", "read:"], ["first\n", ["second line\n", "\n", "last"], ""]),
    ],
    ids=str,
)
def test_input(server, calls, results):
    query = "&".join(f"call={call}" for call in calls)
    assert server.request("POST", f"/input?{query}", body=LINES).json() == results


def test_input_is_empty_without_a_body(server):
    assert server.get("/input?call=read:&call=readline:&call=iterate:").json() == ["", "", []]


def test_errors_go_to_the_log(server):
    start = server.log.mark()
    assert server.get("/errors").status == 204
    server.log.wait_for("written to wsgi.errors: caf(é|\\\\xe9)", start=start)
    server.log.wait_for("^first line$", start=start)
    server.log.wait_for("^second line$", start=start)


def test_errors_stay_open(server):
    start = server.log.mark()
    assert server.get("/close-errors").status == 204
    server.log.wait_for("no line endwritten to wsgi.errors", start=start)


# Bodies


@pytest.mark.parametrize(
    "target, body",
    [
        ("/list", "one two three"),
        ("/tuple", "one two three"),
        ("/single", "just one"),
        ("/empty", ""),
        ("/generator", "one two three"),
        ("/late", "late"),
        ("/write", "written twice and returned"),
    ],
)
def test_body(server, target, body):
    response = server.get(target)
    assert (response.status, response.reason, response.text) == (200, "OK", body)
    assert response.headers["Content-Type"] == "text/plain"


def test_single_item_gets_a_length(server):
    assert server.get("/single").headers["Content-Length"] == "8"


def test_server_adds_date_and_its_name_once(server):
    headers = server.get("/single").headers
    assert headers.get_all("Server") == ["gunid"]
    assert len(headers.get_all("Date")) == 1


# close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called(server, method):
    name = f"closed after {method}".replace(" ", "-")
    assert server.request(method, f"/closing?name={name}").status == 200
    assert closed(server).count(name) == 1


@pytest.mark.parametrize("name", ["raise-first", "raise-midway"])
def test_close_is_called_after_an_exception(server, name):
    count = closed(server).count(name)
    try:
        server.get(f"/{name}")
    except http.client.HTTPException:
        assert name == "raise-midway"
    assert closed(server).count(name) == count + 1


def test_close_is_called_when_the_client_goes_away(server):
    count = closed(server).count("endless")
    with server.socket() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    wait_until(lambda: closed(server).count("endless") == count + 1, "close()")


# start_response


def test_exc_info_before_the_head_replaces_everything(server):
    response = server.get("/exc-info")
    assert (response.status, response.reason) == (503, "Sorry")
    assert response.headers["Content-Type"] == "text/html"
    assert response.headers["X-Second"] == "2"
    assert "X-First" not in response.headers
    assert response.text == "<p>sorry</p>"


def test_exc_info_after_the_head_is_raised_again(server):
    start = server.log.mark()
    with pytest.raises(http.client.IncompleteRead) as cut:
        server.get("/exc-info-late")
    assert cut.value.partial == b"begun "
    server.log.wait_for("ValueError: too late to change", start=start)


@pytest.mark.parametrize(
    "target, reason",
    [
        ("/start-twice", "AssertionError"),
        ("/no-start", "start_response"),
        ("/raise", "RuntimeError: the application failed"),
        ("/raise-first", "RuntimeError: the iterable failed"),
        ("/exit", "SystemExit: 3"),
        ("/interrupt", "KeyboardInterrupt"),
        ("/recurse", "RecursionError"),
        ("/early-hints-bad", "Link"),
        ("/101", "invalid status '101 Switching Protocols'"),
        ("/str-body", "TypeError"),
        ("/header-newline", "X-Split"),
        ("/header-name", "X Bad"),
        ("/header-type", "TypeError"),
    ],
)
def test_failing_application_costs_one_500(server, target, reason):
    start = server.log.mark()
    workers = server.worker_pids()
    response = server.get(target)
    assert (response.status, response.headers["Connection"]) == (500, "close")
    assert "Set-Cookie" not in response.headers
    server.log.wait_for(f"Error handling request {target}", start=start)
    server.log.wait_for(re.escape(reason), start=start)
    assert server.get("/single").text == "just one"
    assert server.worker_pids() == workers


def test_exit_in_close_costs_nothing(server):
    start = server.log.mark()
    workers = server.worker_pids()
    assert server.get("/exit-in-close").text == "complete"
    server.log.wait_for("SystemExit: 4", start=start)
    assert server.get("/single").text == "just one"
    assert server.worker_pids() == workers


def test_traceback_is_in_the_log(server):
    start = server.log.mark()
    server.get("/raise")
    server.log.wait_for("RuntimeError: the application failed", start=start)
    text = server.log.text(start)
    assert "Traceback (most recent call last):" in text
    assert re.search(r'File ".*wsgi_probe\.py", line \d+, in raise_at_once', text)


def test_exception_after_the_head_cuts_the_connection(server):
    start = server.log.mark()
    with pytest.raises(http.client.IncompleteRead) as cut:
        server.get("/raise-midway")
    assert cut.value.partial == b"begun "
    server.log.wait_for("RuntimeError: the iterable failed", start=start)


# Lengths, and responses without a body


def test_body_shorter_than_its_length_cuts_the_connection(server):
    with pytest.raises(http.client.IncompleteRead) as cut:
        server.get("/too-short")
    assert cut.value.partial == b"short"


def test_body_longer_than_its_length_is_cut_to_it(server):
    answer = server.raw(b"GET /too-long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("method, target, status", [
    ("HEAD", "/list", 200), ("HEAD", "/declared", 200), ("GET", "/204", 204), ("GET", "/205", 205),
    ("GET", "/304", 304),
])
def test_no_body(server, method, target, status):
    answer = server.raw(
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert body == b""
    lengths = {"/list": b"13", "/declared": b"11", "/205": b"0"}
    assert re.findall(rb"Content-Length: (\d+)", head) == [
        length for of, length in lengths.items() if of == target
    ]
    assert b"chunked" not in head


def test_connection_is_usable_after_responses_without_a_body(server):
    connection = server.connect()
    for method, target in [("HEAD", "/list"), ("GET", "/204"), ("GET", "/304"), ("GET", "/single")]:
        response = exchange(connection, method, target)
    assert response.text == "just one"
    connection.close()


# wsgi.file_wrapper


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "large"
    path.write_bytes(os.urandom(4096) * 512)
    return path


@pytest.mark.parametrize("offset", [0, 1, 100_000, 512 * 4096 - 1, 512 * 4096])
def test_file_from_an_offset(server, large_file, offset):
    response = server.get(f"/file?path={large_file}&offset={offset}")
    assert response.body == large_file.read_bytes()[offset:]
    assert response.headers["Content-Length"] == str(len(response.body))
    assert server.get("/open-files").text == "0"


def test_file_with_a_length(server, large_file):
    response = server.get(f"/file?path={large_file}&offset=10&length=5000")
    assert response.body == large_file.read_bytes()[10:5010]


def test_empty_file(server, tmp_path):
    (tmp_path / "empty").touch()
    connection = server.connect()
    assert exchange(connection, "GET", f"/file?path={tmp_path}/empty").body == b""
    assert exchange(connection, "GET", "/single").text == "just one"
    connection.close()


def test_file_over_http_1_0(server, large_file):
    answer = server.raw(f"GET /file?path={large_file} HTTP/1.0\r\n\r\n".encode())
    assert answer.partition(b"\r\n\r\n")[2] == large_file.read_bytes()


def test_file_for_a_head_request(server, large_file):
    answer = server.raw(f"HEAD /file?path={large_file} HTTP/1.0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % large_file.stat().st_size in head
    assert body == b""


def test_file_for_a_slow_reader(server, large_file):
    with server.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(f"GET /file?path={large_file} HTTP/1.0\r\n\r\n".encode())
        answer = read_all(client)
    assert answer.endswith(large_file.read_bytes())


def test_file_that_cannot_be_read(server):
    assert server.get("/write-only-file").status == 500


def test_file_that_does_not_know_its_size(server):
    assert server.get("/proc-file").text.startswith("Name:")


def test_file_without_a_descriptor(server):
    assert server.get("/memory").body == bytes(range(256)) * 1024


def test_no_sendfile_serves_the_same(gunid, large_file):
    server = gunid("wsgi_probe:app", "--no-sendfile")
    assert server.get(f"/file?path={large_file}").body == large_file.read_bytes()


def test_file_after_a_write(server, large_file):
    response = server.get(f"/write-then-file?path={large_file}")
    assert response.body == b"first " + large_file.read_bytes()


def test_threads_of_the_application_that_write_at_once(server):
    body = server.get("/write-from-threads").body
    *lines, last = body.split(b"\n")
    assert set(lines) <= {b"x" * 99_999}
    assert last == b"refused %d" % (80 - len(lines))


def test_thread_of_the_application_that_writes_beyond_the_end(server):
    for _ in range(3):
        body = server.get("/return-while-writing").body  # its chunks are whole
        assert body.startswith(b"begun ") and set(body[6:]) <= {ord("x")}


# wsgi.early_hints

HINTS = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </script.js>; rel=preload; as=script\r\n"
    b"X-Latin: caf\xe9\r\n\r\n"
)


def request_once(target: str, version: str = "1.1") -> bytes:
    return f"GET {target} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


def test_early_hints_come_before_the_response(server):
    answer = server.raw(request_once("/early-hints"))
    assert answer.startswith(HINTS + b"HTTP/1.1 200 OK\r\n")
    assert b"late.css" not in answer
    assert b"hin" in answer and b"ted" in answer


def test_early_hints_are_not_for_http_1_0(server):
    answer = server.raw(request_once("/early-hints", "1.0"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhinted")


def test_early_hints_and_then_an_error(server):
    answer = server.raw(request_once("/early-hints-fail"))
    assert answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    assert answer.count(b"HTTP/1.1 500 Internal Server Error\r\n") == 1


def test_early_hints_after_their_request(server):
    assert server.get("/early-hints-afterwards").text == "kept"
    assert "after its request was over" in server.get("/early-hints-afterwards").text


def test_client_that_leaves_during_early_hints(server):
    count = closed(server).count("endless")
    with server.socket() as client:
        client.sendall(request_once("/endless-after-hints"))
        assert client.recv(100)
    wait_until(lambda: closed(server).count("endless") == count + 1, "close()")


def test_client_takes_early_hints_for_no_response(server):
    answer = run("curl", "-s", "-i", f"{server.url}/early-hints", errors="replace").stdout
    assert answer.count("103 Early Hints") == 2
    assert answer.endswith("hinted")


def test_worker_whose_descriptors_were_closed_is_replaced(gunid):
    server = gunid("wsgi_probe:app", "--threads", "2")
    (worker,) = server.worker_pids()
    try:
        server.get("/close-descriptors", timeout=1)
    except OSError:
        pass  # its socket is among them
    wait_until(lambda: server.worker_pids() - {worker}, "another worker")
    assert server.get("/single").text == "just one"


# wsgiref.validate


@pytest.fixture(scope="module", params=[(), ("--threads", "2")], ids=["sync", "threads"])
def validated(request, module_gunid):
    return module_gunid("validated:app", *request.param)


@pytest.mark.parametrize(
    "method, target, body, answer",
    [
        ("POST", "/body?x=1", b"line\nand more\nlines\n", "line\nand more\nlines\n"),
        ("GET", "/body", None, ""),
        ("GET", "/iterated", None, "ab"),
        ("HEAD", "/iterated", None, ""),
        ("GET", "/written", None, "written returned"),
    ],
)
def test_validate_has_no_complaint(validated, method, target, body, answer):
    start = validated.log.mark()
    headers = {"Content-Type": "text/plain"} if body else {}
    response = validated.request(method, target, body=body, headers=headers)
    assert (response.status, response.text) == (200, answer)
    assert "AssertionError" not in validated.log.text(start)
    assert "WSGIWarning" not in validated.log.text(start)
