"""Leaves in its environ and headers what an access log may ask for."""

import os


class Unprintable:
    def __str__(self):
        raise RuntimeError("has no text")


class ForksWhenClosed(list):
    def close(self):
        if os.fork():
            os.wait()


def app(environ, start_response):
    environ["REMOTE_USER"] = 'anna "the admin"'
    environ["app.number"] = 42
    environ["app.text"] = "grün €"
    environ["app.unprintable"] = Unprintable()
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Trace", "a\xffb")])
    body = ForksWhenClosed if environ["PATH_INFO"] == "/fork" else list
    return body([b"one", b"two"])
