"""The servers that are compared: one row each, with the command that serves a workload best."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable


from workloads import Workload

KEPT_S = 75
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Place:
    """Where a server runs."""

    port: int
    other_port: int  # for a second process behind it
    directory: Path  # for its files, of this server alone
    programs: Path  # of gunid, and of the floor
    bare_us: float = 0.0  # what the bare application loop needs for a request, where there is one


@dataclass(frozen=True)
class Peer:
    name: str
    version: tuple[str, ...]  # the command that tells it; (): part of this project
    command: Callable[[Workload, Place], list[object]]
    # Why not, or "".
    lacks: Callable[[Workload], str] = lambda workload: ""


def log_to(workload: Workload, place: Place, *option: str) -> list[object]:
    return [*option, place.directory / "access.log"] if workload.access_log else []


def gunicorn_kind(workload: Workload) -> list[object]:
    """The worker class for a workload, in Gunicorn's words."""
    if workload.greenlets:
        return ["-k", "gevent"]
    if workload.kept or workload.threads > 1:
        return ["-k", "gthread", "--threads", workload.threads, "--keep-alive", KEPT_S]
    return ["-k", "sync"]


def gunicorn_options(workload: Workload, place: Place) -> list[object]:
    return ["--bind", f"127.0.0.1:{place.port}", "--workers", workload.workers,
            "--worker-connections", 2000, *gunicorn_kind(workload),
            *log_to(workload, place, "--access-logfile"), workload.application]


def gunid(workload: Workload, place: Place) -> list[object]:
    options = gunicorn_options(workload, place)
    if workload.greenlets:
        options[options.index("--worker-connections") + 1] = 1000
    return [place.programs / "gunid", "--control-socket", place.directory / "control.sock", *options]


def gunicorn(workload: Workload, place: Place) -> list[object]:
    return [PYTHON, "/usr/bin/gunicorn", *gunicorn_options(workload, place)]


def uwsgi(workload: Workload, place: Place) -> list[object]:
    """Its own HTTP/1.1 socket keeps a thread for each connection: with fewer threads than connections
    keep-alive needs its HTTP router, a process of its own."""
    address = f"127.0.0.1:{place.port}"
    options: list[object] = ["--need-app", "--die-on-term", "--listen", 1024,
                             "--workers", workload.workers, "--wsgi", workload.application]
    if workload.greenlets or not workload.kept:
        # This one closes connections without saying so, which wrk takes for an error.
        options += ["--http-socket", address, "--add-header", "Connection: close"]
        if workload.greenlets:
            options += ["--gevent", workload.connections, "--gevent-monkey-patch"]
    elif workload.threads > 1 or workload.idle:
        options += ["--http", address, f"--http-keepalive={KEPT_S}", "--threads", workload.threads]
    else:
        options += ["--http11-socket", address, "--threads", workload.connections]
    options += (["--logto", place.directory / "access.log"] if workload.access_log
                else ["--disable-logging"])
    plugins = "python3,http" + (",gevent_python3" if workload.greenlets else "")
    return ["uwsgi", "--plugins", plugins, "--master", *options]


def waitress(workload: Workload, place: Place) -> list[object]:
    return [PYTHON, "/usr/bin/waitress-serve", "--listen", f"127.0.0.1:{place.port}",
            "--asyncore-use-poll",
            "--threads", workload.threads, "--connection-limit", 2000, "--channel-timeout", KEPT_S,
            workload.application]


def cheroot(workload: Workload, place: Place) -> list[object]:
    return [PYTHON, "-m", "cheroot", "--bind", f"127.0.0.1:{place.port}", "--threads",
            workload.threads, "--timeout", KEPT_S, workload.application]


def floor(workload: Workload, place: Place) -> list[object]:
    return [place.programs / "floor", place.port, workload.answer_bytes]


def paced_floor(workload: Workload, place: Place) -> list[object]:
    """The floor, at the pace of the application."""
    answer_bytes = 300 if workload.answer_bytes is None else workload.answer_bytes
    return [place.programs / "floor", place.port, answer_bytes, place.bare_us]


NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  upstream floor {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://floor;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


def nginx(workload: Workload, place: Place) -> list[object]:
    """In front of the floor, which is part of its session."""
    configuration = place.directory / "nginx.conf"
    configuration.write_text(NGINX.format(directory=place.directory, port=place.port,
                                          upstream=place.other_port))
    floor_command = f"{place.programs}/floor {place.other_port} {workload.answer_bytes}"
    return ["/bin/sh", "-c", f"{floor_command} & exec /usr/sbin/nginx -e stderr -c {configuration}"]


def only_threads(workload: Workload) -> str:
    if workload.greenlets:
        return "no greenlets"
    if workload.workers > 1:
        return "one process"
    return "no access log" if workload.access_log else ""


def cheroot_lacks(workload: Workload) -> str:
    if workload.upload_bytes:
        return "it closes connections that have sent a request"
    return "no wsgi.file_wrapper" if workload.target == "/file" else only_threads(workload)


def floor_lacks(workload: Workload) -> str:
    plain = (workload.application == "application:app" and workload.target in ("/", "/large", "/medium",
                                                                                "/file")
             and workload.workers == workload.threads == 1 and not workload.greenlets
             and not workload.access_log)
    return "" if plain else "it answers at once, alone, and without an application"


def paced_floor_lacks(workload: Workload) -> str:
    return "" if workload.bare_loop and floor_lacks(workload) else "the floor itself has a pace"


def no_pipelining(workload: Workload) -> str:
    return "no pipelining" if workload.pipelined > 1 else ""


PEERS = (
    Peer("gunid", (), gunid),
    Peer("floor", (), floor, floor_lacks),
    Peer("paced floor", (), paced_floor, paced_floor_lacks),
    Peer("uwsgi", ("uwsgi", "--version"), uwsgi, no_pipelining),
    Peer("gunicorn", (PYTHON, "/usr/bin/gunicorn", "--version"), gunicorn,
         no_pipelining),
    Peer("waitress", ("dpkg-query", "-W", "-f", "${Version}", "python3-waitress"), waitress,
         only_threads),
    Peer("cheroot", ("dpkg-query", "-W", "-f", "${Version}", "python3-cheroot"), cheroot,
         cheroot_lacks),
    Peer("nginx", ("/usr/sbin/nginx", "-v"), nginx,
         lambda workload: "" if workload.proxy else "only where it is asked for"),
)
