"""The bare application loop: calls an application over and over in this process, with a ready environ,
and tells what that cost. No server, no socket.

usage: bare_loop.py MODULE:CALLABLE SECONDS

Writes one line of JSON: requests, seconds, and CPU seconds (user and system).
"""

import gc
import importlib
import io
import json
import sys
import time

BATCH = 100


def ready_environ() -> dict:
    """What a server makes of a GET of / without further headers (PEP 3333)."""
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "RAW_URI": "/", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "HTTP_HOST": "127.0.0.1:8000",
        "SERVER_SOFTWARE": "bare", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": False,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    seconds = float(sys.argv[2])
    application = getattr(importlib.import_module(module), name)
    environ = ready_environ()
    statuses = []

    def start_response(status, headers, exc_info=None):
        statuses.append(status)

    def call() -> None:
        result = application(environ.copy(), start_response)
        for _ in result:
            pass
        if hasattr(result, "close"):
            result.close()

    gc.collect()
    gc.freeze()  # as servers do when they have imported the application
    for _ in range(BATCH):  # warm
        call()
    statuses.clear()
    requests = 0
    start, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        for _ in range(BATCH):
            call()
        if any(not status.startswith("200") for status in statuses):
            sys.exit(f"{sys.argv[1]} answered {statuses[-1]}")
        statuses.clear()
        requests += BATCH
    print(json.dumps({"requests": requests, "seconds": time.perf_counter() - start,
                      "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
