"""Requests that wait for each other, in the ways in which blocking code waits.

Under gevent all of these ways are cooperative: the server has patched them before this is imported.
"""

import contextvars
import os
import queue
import socket
import subprocess
import threading
import time
from urllib.parse import parse_qs

import gevent
import gevent.event
import gevent.local
import gunid
import requests

variable = contextvars.ContextVar("variable", default=None)
local = gevent.local.local()

here = 0
peak = 0
gathered = gevent.event.Event()
lives_on = []


def gather(query):
    """Returns when `count` requests are here at once."""
    global here
    here += 1
    if here == int(query["count"]):
        gathered.set()
    gathered.wait()
    time.sleep(0.1)
    here -= 1
    return "gathered"


def crowd(query):
    """The largest number of requests that were here at once so far."""
    global here, peak
    here += 1
    peak = max(peak, here)
    time.sleep(0.02)
    here -= 1
    return str(peak)


class ByLock:
    def __init__(self):
        self.lock = threading.Lock()
        self.lock.acquire()

    def take(self):
        with self.lock:
            return "token"

    def give(self):
        self.lock.release()


class ByQueue:
    def __init__(self):
        self.queue = queue.Queue()
        self.take = self.queue.get

    def give(self):
        self.queue.put("token")


class ByCondition:
    def __init__(self):
        self.condition = threading.Condition()
        self.given = False

    def take(self):
        with self.condition:
            self.condition.wait_for(lambda: self.given)
        return "token"

    def give(self):
        with self.condition:
            self.given = True
            self.condition.notify()


class BySocket:
    def __init__(self):
        self.ours, self.theirs = socket.socketpair()

    def take(self):
        return self.theirs.recv(100).decode()

    def give(self):
        self.ours.sendall(b"token")


class BySleep:
    def __init__(self):
        self.given = False

    def take(self):
        while not self.given:
            time.sleep(0.01)
        return "token"

    def give(self):
        self.given = True


class ByThread:
    def __init__(self):
        self.event = threading.Event()

    def take(self):
        thread = threading.Thread(target=self.event.wait)
        thread.start()
        thread.join()
        return "token"

    def give(self):
        self.event.set()


class ByProcess:
    def __init__(self):
        self.started = threading.Event()

    def take(self):
        self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started.set()
        token = self.process.stdout.read().decode()
        return token if self.process.wait() == 0 else "killed"

    def give(self):
        self.started.wait()
        self.process.stdin.write(b"token")
        self.process.stdin.close()


WAYS = {
    "lock": ByLock,
    "queue": ByQueue,
    "condition": ByCondition,
    "socket": BySocket,
    "sleep": BySleep,
    "thread": ByThread,
    "process": ByProcess,
}
opened = {}


def way(query):
    name = query["way"]
    if name not in opened:
        opened[name] = WAYS[name]()
    return opened[name]


def take(query):
    """Returns when another request has called give() by the same way."""
    return way(query).take()


def give(query):
    way(query).give()
    return "given"


def ask_itself(query):
    """The answer of this very server, which comes only while this request waits."""
    return requests.get(query["url"], timeout=20).text


def isolation(query):
    """What the request before has left behind, if anything."""
    left = (getattr(local, "value", None), variable.get())
    local.value = "local"
    variable.set("variable")
    time.sleep(0)
    kept = (local.value, variable.get())
    return f"{left} {kept}"


FAILURES = {
    "GreenletExit": gevent.GreenletExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "LoopExit": gevent.hub.LoopExit,
    "RequestTimeout": gunid.RequestTimeout,
    "SystemExit": SystemExit,
    "ValueError": ValueError,
}


def fail(query):
    if "sleep" in query:
        time.sleep(0.01)
    raise FAILURES[query["name"]]("on purpose")


def kill_itself(query):
    gevent.kill(gevent.getcurrent())
    gevent.sleep(20)


def fail_aside(query):
    """A greenlet of the application's own fails; the request does not wait for it."""
    gevent.spawn(fail, query)
    gevent.sleep(0.05)
    return "failed aside"


def spawn(query):
    """A greenlet that goes on after its request."""
    lives_on.append(gevent.event.Event())
    lives_on.append(gevent.spawn(lambda: lives_on[0].wait() and "went on"))
    return "spawned"


def spawned(query):
    lives_on[0].set()
    return lives_on[1].get(timeout=20)


def sleep_for_ever(query):
    while True:
        time.sleep(3600)


def wait_for_fifo(query):
    """Waits until the test has opened and closed it; the others go on meanwhile."""
    return gevent.get_hub().threadpool.apply(lambda: open(query["fifo"]).read() or "released")


def block(query):
    """The same, but a file that blocks is not cooperative: everything stops."""
    with open(query["fifo"]) as fifo:
        return fifo.read() or "released"


HANDLERS = {
    "/": lambda query: str(os.getpid()),
    "/gather": gather,
    "/crowd": crowd,
    "/take": take,
    "/give": give,
    "/itself": ask_itself,
    "/isolation": isolation,
    "/fail": fail,
    "/kill": kill_itself,
    "/aside": fail_aside,
    "/spawn": spawn,
    "/spawned": spawned,
    "/sleep": sleep_for_ever,
    "/fifo": wait_for_fifo,
    "/block": block,
}


def write_by_another(environ, start_response):
    """The whole body is written by a greenlet that is not the request's."""
    size = 100_000
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])

    def pieces(letter):
        for _ in range(50):
            write(letter * size)
            gevent.sleep(0)

    pieces(b"a")
    gevent.spawn(pieces, b"b").join()
    return [b"c" * size]


def app(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path = environ["PATH_INFO"]
    if path == "/write":
        return write_by_another(environ, start_response)
    body = f"{environ['wsgi.multithread']}" if path == "/flags" else HANDLERS[path](query)
    body = body.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
