"""Behind proxies: nginx over HTTP, nginx and hand-made bytes with the PROXY protocol."""

import hashlib
import http.client
import json
import os
import socket
import struct
import threading
import time
from typing import Iterator

import pytest

from nginx import Nginx, unused_port
from programs import TIMEOUT
from server import Response, Server, exchange
from waiting import wait_until

LARGE = os.urandom(1 << 20) * 50
CLIENT = "127.0.0.7"  # where a client connects from that is not to be taken for its proxy

# Each server of nginx leads to one of gunid. ?scheme= is what it claims of its client: nginx sends
# no field with an empty value.
HTTP_SERVER = """
upstream {name} {{
    server {address};
    keepalive 8;
}}
server {{
    listen 127.0.0.1:{port};
    underscores_in_headers on;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $arg_scheme;
    proxy_request_buffering off;
    location / {{
        proxy_pass http://{name};
    }}
    location /mounted/ {{
        proxy_set_header Connection "";
        proxy_set_header SCRIPT_NAME /mounted;
        proxy_pass http://{name};
    }}
    location /as-it-comes/ {{
        proxy_http_version 1.0;
        proxy_set_header Connection close;
        proxy_request_buffering on;
        proxy_pass http://{name}/;
    }}
}}
"""
STREAM_SERVER = """
server {{
    listen 127.0.0.1:{port};
    proxy_pass 127.0.0.1:{upstream};
    proxy_protocol on;
}}
"""


class Front:
    """A port of nginx that leads to one server."""

    def __init__(self, server: Server, address: str):
        self.server = server
        self.address = address
        self.port = unused_port()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=TIMEOUT, source_address=(CLIENT, 0)
        )

    def request(self, method: str, target: str, **options) -> Response:
        connection = self.connect()
        try:
            return exchange(connection, method, target, **options)
        finally:
            connection.close()

    def environ(self, target: str = "/environ", **options) -> dict:
        return self.request("GET", target, **options).json()["values"]


@pytest.fixture(scope="module")
def fronts(module_gunid, tmp_path_factory) -> Iterator[dict[str, Front]]:
    directory = tmp_path_factory.mktemp("nginx")
    path = directory / "app.sock"
    sync = module_gunid("wsgi_probe:app", "-w", "2")
    threads = module_gunid("wsgi_probe:app", "-w", "2", "--threads", "4")
    unix = module_gunid("wsgi_probe:app", "--threads", "4", bind=(f"unix:{path}",))
    recycling = module_gunid("wsgi_probe:app", "-w", "2", "--threads", "4", "--max-requests", "50")
    fronts = {
        "sync": Front(sync, f"127.0.0.1:{sync.port}"),
        "threads": Front(threads, f"127.0.0.1:{threads.port}"),
        "unix": Front(unix, f"unix:{path}"),
        "recycling": Front(recycling, f"127.0.0.1:{recycling.port}"),
    }
    servers = [
        HTTP_SERVER.format(name=name, address=front.address, port=front.port)
        for name, front in fronts.items()
    ]
    nginx = Nginx(directory, port=fronts["sync"].port, http="".join(servers))
    yield fronts
    nginx.close()
    assert nginx.errors() == ""


@pytest.fixture(params=["sync", "threads", "unix"])
def front(request, fronts) -> Front:
    return fronts[request.param]


# nginx over HTTP


def visit(front: Front, requests: int) -> None:
    """Some requests over one connection to nginx, with and without a body."""
    connection = front.connect()
    for number in range(requests):
        body = b"%d" % number * 100
        answer = exchange(connection, "POST", "/echo", body=body)
        assert (answer.status, answer.body) == (200, body)
        assert exchange(connection, "GET", "/generator").text == "one two three"
    connection.close()


def test_many_clients(front, pool):
    visits = [pool.submit(visit, front, 10) for _ in range(32)]
    for client in visits:
        client.result()


def test_many_requests_over_few_connections(fronts, pool):
    server = fronts["threads"].server
    before = server.stats()["totals"]
    visits = [pool.submit(visit, fronts["threads"], 50) for _ in range(4)]
    for client in visits:
        client.result()
    after = server.stats()["totals"]
    assert after["requests"] - before["requests"] == 4 * 50 * 2
    assert after["connections"] - before["connections"] <= 8


def test_no_request_is_lost_while_workers_are_replaced(fronts, pool):
    """They announce the end of a connection before they end it: nginx never has to answer 502."""
    front = fronts["recycling"]
    ended = threading.Event()

    def visit_on() -> None:
        while not ended.is_set():
            visit(front, 20)

    visits = [pool.submit(visit_on) for _ in range(4)]
    try:
        assert front.server.gunictl("reload").returncode == 0
        wait_until(lambda: front.server.stats()["totals"]["workers_exited"] >= 6, "replacements")
    finally:
        ended.set()
    for client in visits:
        client.result()
    assert front.server.stats()["totals"]["workers_crashed"] == 0


@pytest.mark.parametrize("scheme, expected", [("https", "https"), ("http", "http"), ("", "http")])
def test_scheme(front, scheme, expected):
    """What the client itself claims does not get past nginx."""
    claim = {"X-Forwarded-Proto": "gopher"}
    values = front.environ(f"/environ?scheme={scheme}", headers=claim)
    assert values["wsgi.url_scheme"] == expected
    assert values.get("HTTP_X_FORWARDED_PROTO", "") == scheme
    assert values["HTTP_X_FORWARDED_FOR"] == CLIENT
    assert values["HTTP_HOST"] == f"127.0.0.1:{front.port}"


def test_peer_is_the_proxy(front):
    expected = "" if front.address.startswith("unix:") else "127.0.0.1"
    assert front.environ()["REMOTE_ADDR"] == expected


def test_field_with_an_underscore_is_dropped(front):
    fields = {"X_User": "forged", "X-Group": "real", "X_Group": "forged"}
    values = front.environ(headers=fields)
    assert values["HTTP_X_GROUP"] == "real"
    assert "HTTP_X_USER" not in values


def test_mount_point_that_nginx_tells(front):
    values = front.environ("/mounted/environ")
    assert (values["SCRIPT_NAME"], values["PATH_INFO"]) == ("/mounted", "/environ")
    assert values["RAW_URI"] == "/mounted/environ"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("prefix", ["", "/as-it-comes"], ids=["unbuffered", "buffered"])
def test_large_upload(front, prefix, chunked):
    body = (LARGE[start : start + 99_991] for start in range(0, len(LARGE), 99_991))
    headers = {} if chunked else {"Content-Length": str(len(LARGE))}
    answer = front.request(
        "POST", f"{prefix}/digest", body=body, headers=headers, encode_chunked=chunked
    )
    assert answer.json() == {"length": len(LARGE), "sha256": hashlib.sha256(LARGE).hexdigest()}


def test_large_download(front, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    assert front.request("GET", f"/file?path={path}").body == LARGE


def test_http_1_0_as_nginx_speaks_it_by_default(front):
    assert front.request("GET", "/as-it-comes/generator").text == "one two three"
    assert front.request("POST", "/as-it-comes/echo", body=b"hello").text == "hello"


# The PROXY protocol


@pytest.fixture(scope="module")
def balanced(module_gunid) -> Server:
    return module_gunid("wsgi_probe:app", "--threads", "4", "--proxy-protocol")


@pytest.fixture(scope="module")
def balancer(balanced, tmp_path_factory) -> Iterator[Front]:
    front = Front(balanced, f"127.0.0.1:{balanced.port}")
    stream = STREAM_SERVER.format(port=front.port, upstream=balanced.port)
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), port=front.port, stream=stream)
    yield front
    nginx.close()
    assert nginx.errors() == ""


def test_every_request_behind_nginx_has_the_address_of_its_client(balancer):
    connection = balancer.connect()
    connection.connect()
    own = connection.sock.getsockname()
    for _ in range(5):
        values = exchange(connection, "GET", "/environ").json()["values"]
        assert (values["REMOTE_ADDR"], values["REMOTE_PORT"]) == (own[0], str(own[1]))
        assert values["PROXY_PROTOCOL"] == "TCP4"
        assert (values["PROXY_ADDR"], values["PROXY_PORT"]) == ("127.0.0.1", str(balancer.port))
    assert connection.sock.getsockname() == own
    connection.close()


def version_2(command: int, family: int, block: bytes) -> bytes:
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    return signature + struct.pack("!BBH", 0x20 | command, family, len(block)) + block


def addresses(family: int, client: str, proxy: str) -> bytes:
    pack = lambda text: socket.inet_pton(family, text)
    return pack(client) + pack(proxy) + struct.pack("!HH", 1234, 80)


IPV4 = addresses(socket.AF_INET, "192.0.2.1", "192.0.2.2")
IPV6 = addresses(socket.AF_INET6, "2001:db8::1", "2001:db8::2")
PADDING = b"\x04\x00\x03xyz"  # type, length, value

ADDRESSES = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", "192.0.2.1"),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n", "2001:db8::1"),
    "v2 TCP4": (version_2(1, 0x11, IPV4), "192.0.2.1"),
    "v2 TCP6": (version_2(1, 0x21, IPV6), "2001:db8::1"),
    "v2 with more": (version_2(1, 0x11, IPV4 + PADDING), "192.0.2.1"),
}
# A health check of the balancer itself, or a connection of which it cannot tell more.
NO_ADDRESSES = {
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v2 LOCAL": version_2(0, 0x00, b""),
    "v2 LOCAL with addresses": version_2(0, 0x11, IPV4),
    "v2 UNSPEC": version_2(1, 0x00, b""),
}
ENVIRON = b"GET /environ HTTP/1.1\r\nHost: a\r\n\r\n"


def ask_twice(client: socket.socket) -> list[dict]:
    """The environ of two requests over the connection."""
    answers = []
    for _ in range(2):
        client.sendall(ENVIRON)
        response = http.client.HTTPResponse(client)
        response.begin()
        answers.append(json.loads(response.read())["values"])
    return answers


@pytest.mark.parametrize("header, address", ADDRESSES.values(), ids=ADDRESSES)
def test_proxy_header_with_addresses(balanced, header, address):
    with balanced.socket() as client:
        client.sendall(header)
        for values in ask_twice(client):
            assert (values["REMOTE_ADDR"], values["REMOTE_PORT"]) == (address, "1234")
            assert values["PROXY_PORT"] == "80"


@pytest.mark.parametrize("header", NO_ADDRESSES.values(), ids=NO_ADDRESSES)
def test_proxy_header_without_addresses(balanced, header):
    with balanced.socket() as client:
        own = client.getsockname()
        client.sendall(header)
        for values in ask_twice(client):
            assert (values["REMOTE_ADDR"], values["REMOTE_PORT"]) == (own[0], str(own[1]))
            assert "PROXY_PROTOCOL" not in values


@pytest.mark.parametrize("name", ["v1 TCP4", "v2 TCP6"])
def test_proxy_header_that_comes_byte_by_byte(balanced, name):
    header, address = ADDRESSES[name]
    with balanced.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            client.sendall(bytes([byte]))
            time.sleep(0.002)
        assert [values["REMOTE_ADDR"] for values in ask_twice(client)] == [address] * 2


def test_proxy_header_is_optional(balanced):
    assert balanced.get("/environ").json()["values"]["REMOTE_ADDR"] == "127.0.0.1"


CLOSE = b"GET /environ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 nonsense\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" * 2,
    version_2(3, 0x11, IPV4),
    version_2(1, 0x11, IPV4[:-1]),
], ids=["words", "twice", "command", "short"])
def test_bad_proxy_header(balanced, header):
    assert balanced.raw(header + CLOSE).startswith(b"HTTP/1.1 400 ")


# Who is no proxy of ours


@pytest.fixture(scope="module")
def distrustful(module_gunid) -> Server:
    return module_gunid("wsgi_probe:app", "--forwarded-allow-ips", "10.0.0.1", "--proxy-protocol",
                        "--proxy-allow-from", "10.0.0.1")


def test_forwarded_fields_of_others_have_no_effect(distrustful):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1", "SCRIPT_NAME": "/x"}
    values = distrustful.get("/environ", headers=headers).json()["values"]
    assert values["wsgi.url_scheme"] == "http"
    assert values["REMOTE_ADDR"] == "127.0.0.1"
    assert (values["SCRIPT_NAME"], values["PATH_INFO"]) == ("", "/environ")
    assert "HTTP_SCRIPT_NAME" not in values


@pytest.mark.parametrize("header", [ADDRESSES["v1 TCP4"][0], ADDRESSES["v2 TCP4"][0],
                                    NO_ADDRESSES["v1 UNKNOWN"]], ids=["v1", "v2", "unknown"])
def test_proxy_header_of_others_is_forbidden(distrustful, header):
    answer = distrustful.raw(header + CLOSE)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_others_may_send_plain_http(distrustful):
    assert distrustful.get("/single").text == "just one"


def test_proxy_header_that_nobody_asked_for(fronts):
    answer = fronts["sync"].server.raw(ADDRESSES["v1 TCP4"][0] + CLOSE)
    assert answer.startswith(b"HTTP/1.1 400 ")
