"""A Flask application that uses what Flask applications use."""

import hashlib
import io

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, session, url_for
from flask import stream_with_context

app = Flask(__name__)
app.secret_key = "only for tests"


@app.get("/")
def index():
    return "flask index"


@app.get("/users/<int:user_id>")
def user(user_id):
    return jsonify(id=user_id, args=request.args.to_dict(), agent=request.headers["User-Agent"])


@app.post("/form")
def form():
    return jsonify(request.form.to_dict())


@app.post("/json")
def json_body():
    return jsonify(request.get_json())


@app.post("/upload")
def upload():
    file = request.files["file"]
    digest = hashlib.sha256(file.read()).hexdigest()
    return jsonify(name=file.filename, note=request.form.get("note"), sha256=digest)


@app.post("/body")
def body():
    data = request.get_data()
    return jsonify(length=len(data), sha256=hashlib.sha256(data).hexdigest())


def blocks():
    """The body of the request, piece by piece."""
    return iter(lambda: request.stream.read(65536), b"")


@app.post("/digest")
def stream_digest():
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
    return digest.hexdigest()


@app.post("/echo")
def echo():
    return Response(stream_with_context(blocks()), mimetype="application/octet-stream")


@app.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/stream")
def stream():
    @stream_with_context
    def lines():
        for number in range(int(request.args["lines"])):
            yield f"line {number}\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/download")
def download():
    return send_file(__file__, as_attachment=True)


@app.get("/file")
def served_file():
    return send_file(request.args["path"], mimetype="application/octet-stream")


@app.get("/generated")
def generated():
    return send_file(io.BytesIO(b"generated" * 1000), mimetype="application/octet-stream")


@app.get("/redirect")
def redirected():
    return redirect(url_for("index"))


@app.get("/teapot")
def teapot():
    abort(418)


@app.get("/error")
def error():
    raise RuntimeError("flask view failed")
