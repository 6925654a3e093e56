"""Requests that wait for each other, also across workers: each leaves a file and waits for the others'."""

import os
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

PATIENCE = 20  # seconds


def meet(query):
    """Returns when `count` requests are in the `place` at once: "met"; or "alone" after a long wait."""
    place = Path(query["place"][0])
    (place / f"{os.getpid()}-{threading.get_ident()}").touch()
    deadline = time.monotonic() + PATIENCE
    while len(list(place.iterdir())) < int(query["count"][0]):
        if time.monotonic() > deadline:
            return "alone"
        time.sleep(0.01)
    return "met"


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    body = meet(query) if query else f"{os.getpid()} {threading.current_thread().name}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
