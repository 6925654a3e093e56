"""An application under wsgiref.validate, which asserts every rule of PEP 3333."""

from wsgiref.validate import validator


def body_and_errors(environ, start_response):
    stream = environ["wsgi.input"]
    body = stream.readline() + stream.read(3) + b"".join(stream.readlines()) + b"".join(stream)
    environ["wsgi.errors"].write("validated\n")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def iterated(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"a", b"b"])


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written")
    return [b" returned"]


ROUTES = {"/body": body_and_errors, "/iterated": iterated, "/written": written}


@validator
def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
