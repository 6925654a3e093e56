"""A Flask application with one view."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "Hello, World!\n"
