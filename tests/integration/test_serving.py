"""Serving: listeners, application names, worker classes, HTTP/1.0 and 1.1."""

import hashlib
import json
import os
import re
import socket
import stat

import pytest

from programs import run
from server import UnixConnection, exchange, read_all

LARGE = os.urandom(1024) * 3000
ECHO_HELLO = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
)


@pytest.fixture(scope="module")
def sync(module_gunid):
    return module_gunid("wsgi_probe:app")


@pytest.fixture(scope="module")
def threaded(module_gunid):
    return module_gunid("wsgi_probe:app", "--threads", "4")


@pytest.fixture(params=["sync", "threaded"])
def server(request):
    return request.getfixturevalue(request.param)


# Listeners


def test_flask_on_all_interfaces_with_workers_and_threads(gunid):
    server = gunid("flask_app:app", "-w", "4", "--threads", "2", bind=("0.0.0.0:0",))
    assert re.fullmatch(r"http://0\.0\.0\.0:\d+", server.address)
    assert server.get().text == "flask index"
    assert len(server.worker_pids()) == 4


def test_the_port_that_was_asked_for(gunid, free_port):
    server = gunid("hello:app", bind=(f"127.0.0.1:{free_port}",))
    assert server.address == f"http://127.0.0.1:{free_port}"
    assert server.get().text == "hello"


def test_unix_socket(gunid, tmp_path):
    path = tmp_path / "app.sock"
    server = gunid("hello:app", "--threads", "2", bind=(f"unix:{path}",))
    assert server.address == f"unix:{path}"
    connection = UnixConnection(str(path))
    assert exchange(connection, "GET", "/").text == "hello"
    assert run("curl", "-sS", "--unix-socket", path, "http://localhost/").stdout == "hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    connection.close()
    assert server.stop() == 0
    assert not path.exists()


def test_umask_limits_the_unix_socket(gunid, tmp_path):
    path = tmp_path / "app.sock"
    gunid("hello:app", "--umask", "007", bind=(f"unix:{path}",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o770


def test_stale_unix_socket_is_replaced(gunid, tmp_path):
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    gunid("hello:app", bind=(f"unix:{path}",))
    assert exchange(UnixConnection(str(path)), "GET", "/").text == "hello"


def test_ipv6(gunid):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    server = gunid("hello:app", bind=("[::1]:0",))
    assert re.fullmatch(r"http://\[::1\]:\d+", server.address)
    assert run("curl", "-sSg", server.url).stdout == "hello"


def test_several_listeners(gunid, tmp_path):
    path = tmp_path / "app.sock"
    server = gunid("hello:app", "-w", "2", bind=("127.0.0.1:0", f"unix:{path}", "127.0.0.1:0"))
    server.log.wait_for("Listening at", count=3)
    addresses = [match[1] for match in server.log.matches(r"Listening at: (\S+)")]
    assert [listener["address"] for listener in server.status()["listeners"]] == addresses
    tcp = [address for address in addresses if address.startswith("http://")]
    assert len(set(tcp)) == 2
    assert [run("curl", "-sS", address).stdout for address in tcp] == ["hello", "hello"]
    assert exchange(UnixConnection(str(path)), "GET", "/").text == "hello"


# Application names


@pytest.mark.parametrize(
    "name, body",
    [
        ("hello", "hello"),
        ("hello:app", "hello"),
        ("hello:application", "hello"),
        ("package.module:app", "from a package"),
        ('factory:create_app("x")', "hello x"),
        ("factory:create_app('x', greeting='bye')", "bye x"),
        ("factory:create_app()", "hello nobody"),
    ],
)
def test_application_name(gunid, name, body):
    assert gunid(name).get().text == body


# Worker classes


def test_sync_worker_closes_after_each_response(sync):
    connection = sync.connect()
    response = exchange(connection, "GET", "/single", headers={"Connection": "keep-alive"})
    assert response.headers["Connection"] == "close"
    assert connection.sock is None  # http.client closed it because the response said so
    answer = sync.raw(b"GET /single HTTP/1.1\r\nHost: a\r\n\r\n" * 2)  # returns only at EOF
    assert answer.count(b"HTTP/1.1 200 OK") == 1


def test_sync_worker_runs_one_request_at_a_time(gunid, pool):
    server = gunid("blocking:app")
    clients = [pool.submit(server.get, "/overlap") for _ in range(8)]
    assert {client.result().text for client in clients} == {"1"}


@pytest.mark.parametrize("arguments", [["--threads", "2"], ["-k", "gthread", "--threads", "2"]])
def test_threads_run_requests_at_once(gunid, pool, arguments):
    server = gunid("blocking:app", *arguments)
    clients = [pool.submit(server.get, "/meet") for _ in range(2)]
    assert [client.result().text for client in clients] == ["met", "met"]


def test_threads_are_no_more_than_asked_for(gunid, pool):
    server = gunid("blocking:app", "--threads", "3")
    clients = [pool.submit(server.get, "/overlap") for _ in range(24)]
    peak = max(int(client.result().text) for client in clients)
    assert 2 <= peak <= 3


def test_workers_run_requests_at_once(gunid, pool, gate):
    server = gunid("blocking:app", "-w", "2")
    busy = pool.submit(server.get, gate.target)
    gate.wait_entered()
    assert len({server.get("/pid").text for _ in range(20)}) == 1
    gate.open()
    assert busy.result().text == "released"


def test_threaded_worker_keeps_connections_alive(threaded):
    connection = threaded.connect()
    assert exchange(connection, "GET", "/single").text == "just one"
    sock = connection.sock
    assert sock is not None
    for _ in range(10):
        assert exchange(connection, "POST", "/echo", body=b"again").text == "again"
    assert connection.sock is sock
    response = exchange(connection, "GET", "/single", headers={"Connection": "close"})
    assert response.headers["Connection"] == "close"
    connection.close()


def test_idle_connection_is_closed_after_keep_alive(gunid):
    server = gunid("hello:app", "--threads", "2", "--keep-alive", "1")
    with server.socket() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_all(client)  # returns at EOF
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"hello")


def test_pipelined_requests_are_answered_in_order(threaded):
    bodies = [f"request {number}".encode() for number in range(50)]
    requests = b"".join(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s"
        % (len(body), b"Connection: close\r\n" if body is bodies[-1] else b"", body)
        for body in bodies
    )
    answer = threaded.raw(requests)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == len(bodies)
    assert re.findall(rb"\r\n\r\n(request \d+)", answer) == bodies


# HTTP/1.0 and 1.1


def test_http_1_0_response_ends_with_the_connection(server):
    head, _, body = server.raw(b"GET /generator HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"one two three"


def test_http_1_0_keep_alive_needs_a_length(threaded):
    with threaded.socket() as client:
        for _ in range(2):
            client.sendall(b"GET /single HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = b""
            while not answer.endswith(b"just one"):
                answer += client.recv(4096)
            assert b"\r\nConnection: keep-alive\r\n" in answer
            assert b"\r\nContent-Length: 8\r\n" in answer
        client.sendall(b"GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in read_all(client)


def test_http_1_0_request_body(server):
    answer = server.raw(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.endswith(b"\r\n\r\nhello")


def test_response_with_length(server):
    response = server.get("/declared")
    assert response.headers["Content-Length"] == "11"
    assert "Transfer-Encoding" not in response.headers
    assert response.text == "hello world"


def test_response_without_length_is_chunked(server):
    response = server.get("/generator")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in response.headers
    assert response.text == "one two three"


def test_chunked_response_on_the_wire(server):
    answer = server.raw(b"GET /generator HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    body = answer.partition(b"\r\n\r\n")[2]
    assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"


@pytest.mark.parametrize("body", [b"", b"x", b"hello" * 100, LARGE], ids=len)
def test_request_body_with_length(server, body):
    response = server.request("POST", "/digest", body=body)
    assert response.json() == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("body", [b"", b"x", b"hello" * 100, LARGE], ids=len)
def test_request_body_in_chunks(server, body):
    pieces = [body[start : start + 70001] for start in range(0, len(body), 70001)]
    response = server.request("POST", "/digest", body=iter(pieces), encode_chunked=True,
                              headers={"Transfer-Encoding": "chunked"})
    assert response.json() == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_chunk_extensions_and_trailers_are_dropped(server):
    answer = server.raw(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;name=value\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: dropped\r\n\r\n"
    )
    assert b"hello!" in answer
    assert b"dropped" not in answer


def test_body_that_comes_byte_by_byte_is_complete_when_the_application_reads_it(server):
    with server.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in ECHO_HELLO:
            client.sendall(bytes([byte]))
        assert read_all(client).endswith(b"hello")


def test_slow_request_does_not_hold_a_sync_worker(sync):
    """Requests reach the application only when they are complete."""
    with sync.socket() as slow:
        slow.sendall(ECHO_HELLO[:-3])
        assert sync.get("/single").text == "just one"
        slow.sendall(b"llo")
        assert read_all(slow).endswith(b"hello")


def test_expect_100_continue(server):
    with server.socket() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"hello")


def test_curl_uploads_in_chunks(server, tmp_path):
    upload = tmp_path / "upload"
    upload.write_bytes(LARGE)
    result = run("curl", "-sS", "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue",
                 "--data-binary", f"@{upload}", f"{server.url}/digest")
    assert json.loads(result.stdout)["sha256"] == hashlib.sha256(LARGE).hexdigest()


def test_large_response(server):
    response = server.request("POST", "/echo", body=LARGE)
    assert response.body == LARGE


def test_many_clients_at_once(gunid, pool):
    server = gunid("hello:app", "-w", "2", "--threads", "2")
    clients = [pool.submit(server.get, "/") for _ in range(200)]
    assert {client.result().text for client in clients} == {"hello"}
    assert server.stats()["totals"]["requests"] == 200


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    ],
)
def test_bad_request_is_answered_and_the_application_not_called(server, request_bytes, status):
    answer = server.raw(request_bytes)
    assert re.match(rb"HTTP/1\.1 %d " % status, answer), answer
    assert b"\r\nConnection: close\r\n" in answer
    assert server.get("/single").text == "just one"
