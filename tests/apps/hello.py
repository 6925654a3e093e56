"""The smallest application, under the names that command lines use."""

import os


def application(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        body = str(os.getpid()).encode()
    else:
        body = b"hello"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


app = application
not_callable = "a string"
