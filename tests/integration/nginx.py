"""A real nginx in a directory of its own, in front of what a test has started."""

import os
import re
import socket
import subprocess
from pathlib import Path

from programs import TIMEOUT, run
from waiting import wait_until

CONFIGURATION = """
daemon off;
worker_processes 1;
{user}
pid nginx.pid;
load_module {modules}/ngx_stream_module.so;
error_log {directory}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    {http}
}}
stream {{
    {stream}
}}
"""


def modules() -> str:
    return re.search(r"--modules-path=(\S+)", run("nginx", "-V").stderr)[1]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Serves until close(). `http` and `stream` are what these blocks of its configuration hold;
    `port` is one on which it listens then."""

    def __init__(self, directory: Path, port: int, http: str = "", stream: str = ""):
        self.error_log = directory / "error.log"
        configuration = directory / "nginx.conf"
        # Its workers must be allowed to use the directory.
        user = "user root root;" if os.geteuid() == 0 else ""
        configuration.write_text(CONFIGURATION.format(
            user=user, modules=modules(), directory=directory, http=http, stream=stream
        ))
        self.process = subprocess.Popen(
            ["nginx", "-p", directory, "-c", configuration],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self._listens(port), f"nginx to listen: {self.errors()}")

    def _listens(self, port: int) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"nginx has ended: {self.errors()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def errors(self) -> str:
        """What nginx says went wrong."""
        lines = self.error_log.read_text().splitlines() if self.error_log.exists() else []
        bad = re.compile(r"\[(error|crit|alert|emerg)\]")
        return "\n".join(line for line in lines if bad.search(line))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT)
