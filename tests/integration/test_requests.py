"""The cases of tests/requests (see its README.md) against a real server: whole, byte by byte, and
cut in two at every position. The outcome must be the expected one, however the bytes arrive."""

import asyncio
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Iterator

import pytest

from conftest import Servers
from programs import ROOT, TIMEOUT
from server import Server

REQUESTS = ROOT / "tests" / "requests"
CONNECTIONS = 150  # at a time
PAUSE = 0.003  # between two pieces, so that the server reads them one by one
SHORT_INPUT = 1000  # a longer one is cut in fewer ways
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"


# Cases


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    requests: list[dict]  # that reach the application
    status: int | None  # of the refusal that ends it
    incomplete: bool
    settings: str

    @property
    def ends_connection(self) -> bool:
        return bool(
            self.status
            or self.incomplete
            or (self.requests and not self.requests[-1]["keep_alive"])
        )


def load_case(path: Path) -> Case:
    expected = json.loads(path.with_suffix(".json").read_text())
    return Case(
        name=str(path.relative_to(REQUESTS).with_suffix("")),
        data=path.read_bytes(),
        requests=expected.get("requests", []),
        status=expected.get("status"),
        incomplete=expected.get("incomplete", False),
        settings=json.dumps(expected.get("settings", {}), sort_keys=True),
    )


CASES = [load_case(path) for path in sorted(REQUESTS.rglob("*.http"))]
SETTINGS = sorted({case.settings for case in CASES})


def whole(data: bytes) -> Iterator[list[bytes]]:
    yield [data]


def byte_by_byte(data: bytes) -> Iterator[list[bytes]]:
    size = 1 if len(data) <= SHORT_INPUT else 61
    yield [data[start : start + size] for start in range(0, len(data), size)]


def cut_in_two(data: bytes) -> Iterator[list[bytes]]:
    for cut in range(1, len(data)):
        if len(data) <= SHORT_INPUT or cut < 50 or cut > len(data) - 50 or cut % 397 == 0:
            yield [data[:cut], data[cut:]]


# A client


@dataclass
class Response:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Client(asyncio.Protocol):
    """A connection to the server: what has come, and a way to wait for more."""

    def __init__(self):
        self.received = bytearray()
        self.closed = False
        self.changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.changed.set()

    def eof_received(self) -> bool:
        self.closed = True
        self.changed.set()
        return False

    async def more(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def take_response(self, head_request: bool) -> Response | None:
        """The next final response, if it is complete."""
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            status_line, _, fields = bytes(self.received[: end + 4]).partition(b"\r\n")
            status = int(status_line.split()[1])
            parsed = BytesHeaderParser().parsebytes(fields)
            headers = {name.lower(): value for name, value in parsed.items()}
            no_body = head_request or 100 <= status < 200
            size = end + 4 + (0 if no_body else int(headers["content-length"]))
            if len(self.received) < size:
                return None
            body = bytes(self.received[end + 4 : size])
            del self.received[:size]
            if status >= 200:
                return Response(status, headers, body)
        return None

    async def response(self, head_request: bool = False) -> Response | None:
        """The next final response, or None if the connection ends before it."""
        while (response := self.take_response(head_request)) is None and not self.closed:
            await self.more()
        return response

    async def wait_closed(self) -> None:
        while not self.closed:
            await self.more()


async def send(transport: asyncio.Transport, client: Client, pieces: list[bytes]) -> None:
    for index, piece in enumerate(pieces):
        if index > 0:
            await asyncio.sleep(PAUSE)
        if client.closed:  # refused before all was sent
            return
        transport.write(piece)


# What is expected


class Difference(Exception):
    pass


def expect(what: str, seen: object, expected: object) -> None:
    if seen != expected:
        raise Difference(f"{what} {seen!r} instead of {expected!r}")


def expected_body(request: dict) -> str:
    if repeated := request.get("body_repeated"):
        return repeated["text"] * repeated["times"]
    return request["body"]


def variables_of(headers: list[list[str]], body: str) -> dict[str, str]:
    """What the header fields become in the environ."""
    variables: dict[str, str] = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key in ("CONTENT_LENGTH", "TRANSFER_ENCODING") and "_" not in name:
            variables["CONTENT_LENGTH"] = str(len(body))
            continue
        if name.upper() != "CONTENT-TYPE":
            key = f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ","
        variables[key] = f"{variables[key]}{separator}{value}" if key in variables else value
    return variables


def is_field_variable(key: str) -> bool:
    return key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")


def check_seen(request: dict, seen: dict) -> None:
    environ = seen["environ"]
    body = expected_body(request)
    expect("method", environ["REQUEST_METHOD"], request["method"])
    expect("target", environ["RAW_URI"], request["target"])
    expect("version", environ["SERVER_PROTOCOL"], request["version"])
    expect("body", seen["body"], body)
    for key, value in request.get("environ", {}).items():
        expect(key, environ.get(key), value)
    if "headers" in request:
        fields = {key: value for key, value in environ.items() if is_field_variable(key)}
        expect("fields", fields, variables_of(request["headers"], body))


def check_response(request: dict, response: Response | None) -> None:
    if response is None:
        raise Difference(f"no response to {request['method']} {request['target'][:80]}")
    expect("status", response.status, 200)
    expect("keep-alive", response.headers["connection"] == "keep-alive", request["keep_alive"])
    if request["method"] != "HEAD":
        check_seen(request, json.loads(response.body))


def check_refusal(status: int, response: Response | None) -> None:
    expect("status", response and response.status, status)
    expect("connection", response.headers["connection"], "close")


async def check_case(case: Case, transport: asyncio.Transport, client: Client) -> None:
    for request in case.requests:
        check_response(request, await client.response(request["method"] == "HEAD"))
    if case.status:
        check_refusal(case.status, await client.response())
    if case.ends_connection:
        await client.wait_closed()
    else:
        transport.write(PROBE)
        response = await client.response()
        expect("status of the next request", response and response.status, 200)
        expect("target of the next request", json.loads(response.body)["environ"]["RAW_URI"],
               "/probe")
    expect("a further response", client.take_response(head_request=False), None)
    expect("bytes after the last response", bytes(client.received), b"")


async def play(case: Case, pieces: list[bytes], port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(Client, "127.0.0.1", port)
    try:
        await send(transport, client, pieces)
        if case.incomplete and not client.closed:
            transport.write_eof()
        async with asyncio.timeout(TIMEOUT):
            await check_case(case, transport, client)
    except TimeoutError:
        raise Difference(f"no end; received {bytes(client.received)[:200]!r}") from None
    finally:
        transport.close()


async def play_all(
    deliveries: Iterator[tuple[Case, list[bytes]]], port: int
) -> dict[str, list[str]]:
    """Plays all of them, many at a time, and tells for each case what came out differently."""
    differences = defaultdict(list)

    async def play_some() -> None:
        for case, pieces in deliveries:
            try:
                await play(case, pieces, port)
            except Difference as difference:
                first = len(pieces[0])
                differences[case.name].append(
                    f"{len(pieces)} pieces, the first of {first} bytes: {difference}"
                )

    await asyncio.gather(*(play_some() for _ in range(CONNECTIONS)))
    return differences


def summary(differences: dict[str, list[str]]) -> str:
    return "\n".join(
        f"{name}: {len(found)} deliveries differ; {found[0]}" for name, found in differences.items()
    )


def expected_calls(deliveries: list[tuple[Case, list[bytes]]]) -> Counter:
    calls = Counter()
    for case, _ in deliveries:
        calls.update(f"{request['method']} {request['target']}" for request in case.requests)
        if not case.ends_connection:
            calls["GET /probe"] += 1
    return calls


# The tests


def write_settings(path: Path, settings: str) -> Path:
    lines = [f"{name} = {value!r}\n" for name, value in json.loads(settings).items()]
    path.write_text("".join(lines))
    return path


def settings_id(settings: str) -> str:
    return re.sub(r'[{}" ]', "", settings) or "defaults"


@pytest.fixture(scope="module", params=SETTINGS, ids=settings_id)
def server(request, tmp_path_factory) -> Iterator[tuple[Server, list[Case]]]:
    """A server for each set of settings, and its cases."""
    path = write_settings(tmp_path_factory.mktemp("settings") / "gunicorn.conf.py", request.param)
    servers = Servers()
    # One worker: it counts the calls. Its connections stay until they are asked for more.
    yield (
        servers("mirror:app", "-c", path, "-k", "gthread", "--threads", "2", "--keep-alive", "60"),
        [case for case in CASES if case.settings == request.param],
    )
    servers.close()


@pytest.mark.parametrize("delivery", [whole, byte_by_byte, cut_in_two], ids=lambda f: f.__name__)
def test_requests(server, delivery):
    gunid, cases = server
    deliveries = [(case, pieces) for case in cases for pieces in delivery(case.data)]
    differences = asyncio.run(play_all(iter(deliveries), gunid.port))
    assert not differences, summary(differences)
    # What the clients saw is not all: an application may be called without an answer.
    assert gunid.get("/take-calls").json() == expected_calls(deliveries)


def test_there_are_enough_cases():
    assert len(CASES) >= 300
    assert {case.name.partition("/")[0] for case in CASES} == {"valid", "invalid"}
