"""Tells what the settings made of the process: directory, environment, path."""

import json
import os
import sys


def app(environ, start_response):
    document = {"cwd": os.getcwd(), "environ": dict(os.environ), "path": sys.path, "argv": sys.argv}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(document).encode()]
