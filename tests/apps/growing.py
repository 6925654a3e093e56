"""Memory: /grow?megabytes=N keeps that much more, /hold is a request that lasts for a moment."""

import os
import time
from urllib.parse import parse_qs

kept = []


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/grow":
        kept.append(b"x" * (int(query["megabytes"][0]) << 20))
    elif environ["PATH_INFO"] == "/hold":
        time.sleep(3)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
