"""Large bodies, made and taken in pieces: nothing here holds one in memory unless its path says so.

The byte at each offset of a body is known (PATTERN, repeated), so whoever reads one can check it.
"""

import os
import random
from urllib.parse import parse_qs

PATTERN = random.Random(7).randbytes(1 << 20)
TWICE = PATTERN * 2


def pattern(offset, size):
    """`size` bytes of a body from `offset`; no more than the length of PATTERN."""
    start = offset % len(PATTERN)
    return TWICE[start : start + size]


def pieces(size, piece):
    for offset in range(0, size, piece):
        yield pattern(offset, min(piece, size - offset))


class Journal:
    """An endless body that writes to a file how much of it was taken, and that it was closed."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        chunk = pattern(self.taken, 65536)
        self.taken += len(chunk)
        os.pwrite(self.file, b"%d" % self.taken, 0)
        return chunk

    def close(self):
        os.pwrite(self.file, b"%d closed" % self.taken, 0)
        os.close(self.file)


def whole(query):
    """One bytes object."""
    return [b"".join(pieces(int(query["size"]), 65536))]


def generated(query):
    return pieces(int(query["size"]), int(query["piece"]))


def endless(query):
    return Journal(query["journal"])


def check(environ):
    """Reads the body of the request in blocks; tells its length, and whether it is intact."""
    offset = 0
    intact = True
    while block := environ["wsgi.input"].read(65536):
        intact = intact and block == pattern(offset, len(block))
        offset += len(block)
    return f"{offset} {'intact' if intact else 'corrupt'}".encode()


RESPONSES = {"/whole": whole, "/generated": generated, "/endless": endless}


def app(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path = environ["PATH_INFO"]
    if path == "/":
        body = [str(os.getpid()).encode()]
    elif path == "/check":
        body = [check(environ)]
    elif path == "/file":
        body = environ["wsgi.file_wrapper"](open(query["path"], "rb"), 65536)
    else:
        body = RESPONSES[path](query)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return body
