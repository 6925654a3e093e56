"""Answers /NUMBER with a body that only that request can have, after a moment in which others run."""

import time

WAIT = 0.002  # seconds


def body_of(number: str) -> bytes:
    return f"{number}:".encode() * 300


def app(environ, start_response):
    time.sleep(WAIT)
    body = body_of(environ["PATH_INFO"].lstrip("/"))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
