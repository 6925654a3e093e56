"""What the benchmarks serve: an answer at once, or after a sleep of /sleep?SECONDS."""

import time

BODY = b"Hello, World!\n"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def app(environ, start_response):
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", HEADERS)
    return [BODY]
