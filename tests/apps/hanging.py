"""Requests that hang, each in a function of its name, in ways that can or cannot be interrupted."""

import ctypes
import os
import socket
import threading
import time
from urllib.parse import parse_qs

import gunid

with_gil = ctypes.PyDLL(None)  # its functions do not give up the GIL
cleaned_up = []


def loop(query):
    while True:
        pass


def sleep(query):
    time.sleep(3600)


def receive(query):
    ours, theirs = socket.socketpair()
    ours.recv(1)


def lock(query):
    taken = threading.Lock()
    taken.acquire()
    taken.acquire()


def call_c(query):
    """A signal ends the call."""
    with_gil.sleep(3600)


def hold_gil(query):
    """Nothing ends it. Not for longer than a test may take: no signal but SIGKILL comes through."""
    sum(range(10**12))


def stubborn(query):
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass


def clean_up(query):
    try:
        time.sleep(3600)
    finally:
        cleaned_up.append(os.getpid())


def catch(query):
    try:
        loop(query)
    except gunid.RequestTimeout as timeout:
        assert not isinstance(timeout, Exception)
        return f"caught {type(timeout).__module__}.{type(timeout).__name__}"


def fifo(query):
    """Returns when the test has opened the FIFO for writing and closed it again."""
    with open(query["fifo"][0], "rb") as file:
        file.read()
    return "released"


def stream(query):
    """Hangs when a part of the response has gone out."""
    yield b"begun"
    time.sleep(3600)


def app(environ, start_response):
    function = globals().get(environ["PATH_INFO"][1:], lambda query: str(os.getpid()))
    result = function(parse_qs(environ["QUERY_STRING"]))
    if not isinstance(result, str):
        start_response("200 OK", [])
        return result
    body = result.encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
