"""A small Flask application to try gunid with:  gunid app:app --chdir deploy/examples/flask_app"""

import os

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return f"Hello from worker {os.getpid()}\n"


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"Hello, {name}!\n"


@app.post("/echo")
def echo() -> Response:
    return jsonify(request.get_json())
