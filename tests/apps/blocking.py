"""Requests that take as long as a test wants: they wait for a FIFO, each other, or for ever."""

import os
import threading
import time
from urllib.parse import parse_qs

pair = threading.Barrier(2)
count_lock = threading.Lock()
active = 0
peak = 0


def wait_for_fifo(query):
    """Returns when the test has opened the FIFO for writing and closed it again."""
    with open(query["fifo"][0], "rb") as fifo:
        fifo.read()
    return "released"


def meet(query):
    """Returns when two requests are here at once."""
    pair.wait(timeout=20)
    return "met"


def overlap(query):
    """The largest number of requests that were here at once so far."""
    global active, peak
    with count_lock:
        active += 1
        peak = max(peak, active)
    time.sleep(0.02)
    with count_lock:
        active -= 1
    return str(peak)


def spin_for_ever(query):
    while True:
        pass


def sleep_for_ever(query):
    while True:
        time.sleep(3600)


def die(query):
    os._exit(9)


HANDLERS = {
    "/fifo": wait_for_fifo,
    "/meet": meet,
    "/overlap": overlap,
    "/spin": spin_for_ever,
    "/sleep": sleep_for_ever,
    "/die": die,
    "/pid": lambda query: str(os.getpid()),
}


def app(environ, start_response):
    body = HANDLERS[environ["PATH_INFO"]](parse_qs(environ["QUERY_STRING"])).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
