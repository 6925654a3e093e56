"""What the benchmarks serve, one path for each kind of answer; /sleep?SECONDS sleeps before it, and
/turn?SECONDS does so from half a second after its first request on."""

import os
import time

BODY = b"Hello, World!\n"
TEXT = ("Content-Type", "text/plain")
MEDIUM = b"x" * 10 * 1024
LARGE = b"x" * 1024 * 1024


def body(environ, start_response, content: bytes):
    start_response("200 OK", [TEXT, ("Content-Length", str(len(content)))])
    return [content]


def hello(environ, start_response):
    start_response("200 OK", HELLO_HEADERS)
    return [BODY]


def sleep(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return hello(environ, start_response)


def turn(environ, start_response):
    if time.monotonic() < TURN.setdefault("at", time.monotonic() + TURN_S):
        return hello(environ, start_response)
    TURN["slept"] = TURN.get("slept", 0) + 1
    return sleep(environ, start_response)


def slept(environ, start_response):
    return body(environ, start_response, str(TURN["slept"]).encode())


def medium(environ, start_response):
    return body(environ, start_response, MEDIUM)


def large(environ, start_response):
    return body(environ, start_response, LARGE)


def upload(environ, start_response):
    count = 0
    while part := environ["wsgi.input"].read(64 * 1024):
        count += len(part)
    return body(environ, start_response, str(count).encode())


def file(environ, start_response):
    path = os.environ["BENCH_FILE"]
    start_response("200 OK", [TEXT, ("Content-Length", str(os.path.getsize(path)))])
    return environ["wsgi.file_wrapper"](open(path, "rb"), 64 * 1024)


HELLO_HEADERS = [TEXT, ("Content-Length", str(len(BODY)))]
TURN_S = 0.5
TURN: dict[str, float] = {}
VIEWS = {"/sleep": sleep, "/turn": turn, "/slept": slept, "/medium": medium, "/large": large,
         "/upload": upload, "/file": file}


def app(environ, start_response):
    return VIEWS.get(environ["PATH_INFO"], hello)(environ, start_response)
