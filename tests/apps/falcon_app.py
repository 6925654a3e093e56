"""A Falcon application: resources, media, forms with files, cookies, streaming, errors."""

import hashlib

import falcon


def blocks(stream):
    """The body of a request, piece by piece."""
    return iter(lambda: stream.read(65536), b"")


def sha256(stream):
    digest = hashlib.sha256()
    for block in blocks(stream):
        digest.update(block)
    return digest.hexdigest()


class Index:
    def on_get(self, req, resp):
        resp.text = "falcon index"


class User:
    def on_get(self, req, resp, user_id):
        resp.media = {"id": user_id, "args": req.params, "host": req.host, "scheme": req.scheme}


class Json:
    def on_post(self, req, resp):
        resp.media = req.get_media()


class Upload:
    """A form with a file."""

    def on_post(self, req, resp):
        answer = {}
        for part in req.get_media():
            if part.filename:
                answer |= {"name": part.filename, "sha256": sha256(part.stream)}
            else:
                answer[part.name] = part.text
        resp.media = answer


class Digest:
    def on_post(self, req, resp):
        resp.text = sha256(req.stream)


class Echo:
    def on_post(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = blocks(req.stream)


class Count:
    def on_get(self, req, resp):
        count = int(req.cookies.get("count", "0")) + 1
        resp.set_cookie("count", str(count), secure=False)
        resp.text = str(count)


class Stream:
    def on_get(self, req, resp):
        lines = req.get_param_as_int("lines", required=True)
        resp.stream = (f"line {number}\n".encode() for number in range(lines))


class File:
    def on_get(self, req, resp):
        resp.content_type = "application/octet-stream"
        resp.stream = open(req.get_param("path"), "rb")


class Error:
    def on_get(self, req, resp):
        raise RuntimeError("falcon resource failed")


class Redirect:
    def on_get(self, req, resp):
        raise falcon.HTTPFound("/")


app = falcon.App()
for path, resource in [
    ("/", Index()),
    ("/users/{user_id:int}", User()),
    ("/json", Json()),
    ("/upload", Upload()),
    ("/digest", Digest()),
    ("/echo", Echo()),
    ("/count", Count()),
    ("/stream", Stream()),
    ("/file", File()),
    ("/error", Error()),
    ("/redirect", Redirect()),
]:
    app.add_route(path, resource)
