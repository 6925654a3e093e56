"""Each path is a way to die; the first word on standard error is what a crash report should have."""

import ctypes
import os
import subprocess
import sys


def app(environ, start_response):
    path = environ["PATH_INFO"]
    print("about to", path, file=sys.stderr)
    if path == "/segfault":
        ctypes.string_at(0)
    elif path == "/abort":
        os.abort()
    elif path == "/exit":
        os.write(2, b"\x1b[31mlast words\xff\n")
        os._exit(9)
    elif path == "/leave-a-child":
        subprocess.Popen(["sh", "-c", "sleep 1; echo the child is still there >&2"])
        os._exit(1)
    body = str(int(os.isatty(2))).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
