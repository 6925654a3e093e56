"""Answers each request with what of it reached the application, and counts the calls."""

import json
import threading
from collections import Counter

calls = Counter()
lock = threading.Lock()


def take_calls():
    with lock:
        taken = dict(calls)
        calls.clear()
    return taken


def mirror(environ):
    with lock:
        calls[f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"] += 1
    return {
        "environ": {key: value for key, value in environ.items() if isinstance(value, str)},
        "body": environ["wsgi.input"].read().decode("latin-1"),
    }


def app(environ, start_response):
    document = take_calls() if environ["RAW_URI"] == "/take-calls" else mirror(environ)
    body = json.dumps(document).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
