"""Clients that account for each of their requests, in one process of their own.

    python3 load_generator.py ADDRESS KEPT CLOSING THINK

ADDRESS is HOST:PORT or unix:PATH of a server of tests/apps/numbered.py; KEPT clients keep their
connections and pause for THINK seconds between requests, CLOSING ones connect for each request. Says
"ready" when each has had an answer, goes on until its standard input ends or until all clients have
been refused, and then tells as JSON what has become of the requests:

  answered     by status 200 and their own body, to the byte
  wrong        by anything else
  unanswered   the connection was closed after the request was sent, without a byte of an answer
  truncated    the connection was closed within the answer
  reset        the connection was reset after it was established, at whatever point
  timed_out    none of that within TIMEOUT seconds
  refused      the client could not connect; it does not try again
  reconnected  no request at all: a kept connection was closed before the next request was begun
"""

import heapq
import itertools
import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

TIMEOUT = 30  # seconds
RETRY = 0.01  # seconds, when the backlog of a Unix socket is full
LOST = ("wrong", "unanswered", "truncated", "reset", "timed_out")


def body_of(number: int) -> bytes:
    """As in tests/apps/numbered.py."""
    return f"{number}:".encode() * 300


class Client:
    def __init__(self, load: "Load", keeps: bool):
        self.load = load
        self.keeps = keeps
        self.state = "new"
        self.socket: socket.socket | None = None
        self.number = 0
        self.answers = 0
        self.on_connection = 0  # answers
        self.received = b""
        self.since = 0.0

    # Steps

    def start(self) -> None:
        """Begins the next request."""
        if self.load.ending:
            return self.end()
        if self.socket is None:
            return self.connect()
        if self.was_closed():
            self.load.counts["reconnected"] += 1
            self.close()
            return self.connect()
        self.send()

    def was_closed(self) -> bool:
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def connect(self) -> None:
        self.state, self.since = "connecting", time.monotonic()
        self.on_connection = 0
        self.socket = socket.socket(self.load.family)
        self.socket.setblocking(False)
        try:
            self.socket.connect(self.load.address)
        except BlockingIOError:
            if self.load.family == socket.AF_UNIX:
                self.close()
                self.state = "pausing"
                return self.load.later(RETRY, self)
        except OSError:
            return self.refused()
        self.load.watch(self, select.EPOLLOUT)

    def refused(self) -> None:
        self.load.counts["refused"] += 1
        self.close()
        self.end()

    def send(self) -> None:
        self.number = next(self.load.numbers)
        self.state, self.since, self.received = "waiting", time.monotonic(), b""
        connection = "keep-alive" if self.keeps else "close"
        request = f"GET /{self.number} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n"
        self.load.modify(self, select.EPOLLIN)
        try:
            self.socket.send(request.encode())
        except OSError:
            self.lose("reset")

    def on_event(self) -> None:
        if self.state == "connecting":
            if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return self.refused()
            return self.send()
        if self.state == "waiting":
            return self.receive()
        self.load.modify(self, 0)  # pausing: start() will see

    def receive(self) -> None:
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            return self.lose("reset")
        if not data:
            return self.lose("truncated" if self.received else "unanswered")
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        wanted = body_of(self.number)
        if not end or (len(body) < len(wanted) and head.startswith(b"HTTP/1.1 200 ")):
            return
        if not head.startswith(b"HTTP/1.1 200 OK\r\n") or body != wanted:
            return self.lose("wrong")
        self.load.counts["answered"] += 1
        self.answers += 1
        self.on_connection += 1
        if not self.keeps or b"\r\nConnection: close" in head:
            self.close()
        self.next()

    def lose(self, how: str) -> None:
        self.load.counts[how] += 1
        kind = "kept" if self.keeps else "closing"
        self.load.losses.append(
            f"{how} at {time.time():.3f} after {time.monotonic() - self.since:.3f} s: request "
            f"{self.number} of a {kind} client, after {self.on_connection} others on its "
            f"connection; received {self.received[:200]!r}"
        )
        self.close()
        self.next()

    def next(self) -> None:
        self.state = "pausing"
        if self.socket:
            self.load.modify(self, select.EPOLLIN)
        self.load.later(self.load.think if self.keeps else 0, self)

    def close(self) -> None:
        if self.socket:
            self.load.forget(self)
            self.socket.close()
        self.socket = None

    def end(self) -> None:
        self.close()
        self.state = "ended"


class Load:
    def __init__(self, address: str, kept: int, closing: int, think: float):
        if address.startswith("unix:"):
            self.family, self.address = socket.AF_UNIX, address[5:]
        else:
            host, _, port = address.rpartition(":")
            self.family, self.address = socket.AF_INET, (host, int(port))
        self.think = think
        self.epoll = select.epoll()
        self.watched: dict[int, Client] = {}
        self.timers: list[tuple[float, int, Client]] = []
        self.order = itertools.count()
        self.numbers = itertools.count(1)
        self.counts = Counter()
        self.losses: list[str] = []
        self.ending = False
        self.clients = [Client(self, keeps) for keeps in [True] * kept + [False] * closing]

    def watch(self, client: Client, events: int) -> None:
        self.watched[client.socket.fileno()] = client
        self.epoll.register(client.socket, events)

    def modify(self, client: Client, events: int) -> None:
        self.epoll.modify(client.socket, events)

    def forget(self, client: Client) -> None:
        if self.watched.pop(client.socket.fileno(), None):
            self.epoll.unregister(client.socket)

    def later(self, delay: float, client: Client) -> None:
        heapq.heappush(self.timers, (time.monotonic() + delay, next(self.order), client))

    def run(self) -> None:
        self.epoll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        for client in self.clients:
            self.later(0, client)
        told = False
        while any(client.state != "ended" for client in self.clients):
            self.turn()
            if not told and all(client.answers for client in self.clients):
                told = True
                print("ready", flush=True)

    def turn(self) -> None:
        wait = self.timers[0][0] - time.monotonic() if self.timers else TIMEOUT
        for fd, _ in self.epoll.poll(min(max(wait, 0), 0.5)):
            if fd == sys.stdin.fileno():
                self.ending = True
                self.epoll.unregister(sys.stdin)
            elif fd in self.watched:
                self.watched[fd].on_event()
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2].start()
        for client in self.clients:
            if client.state in ("connecting", "waiting") and now - client.since > TIMEOUT:
                client.lose("timed_out")


def main() -> None:
    address, kept, closing, think = sys.argv[1:]
    load = Load(address, int(kept), int(closing), float(think))
    load.run()
    print(json.dumps({"counts": load.counts, "losses": load.losses[:20]}), flush=True)


class LoadGenerator:
    """That process, as a test sees it: with LoadGenerator(address, ...) as load: ..."""

    def __init__(self, address: str, kept: int = 8, closing: int = 4, think: float = 0.005):
        command = [sys.executable, str(Path(__file__)), address, str(kept), str(closing), str(think)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "LoadGenerator":
        if self.process.stdout.readline() != "ready\n":
            self.__exit__()
            raise AssertionError("the clients got no answers")
        return self

    def end(self) -> dict:
        """Ends the clients when they have their answers, and returns what they tell."""
        return json.loads(self.process.communicate(timeout=60)[0])

    def wait_refused(self) -> dict:
        """Waits until all clients have been refused, and returns what they tell."""
        result = json.loads(self.process.stdout.readline())
        self.process.wait(60)
        return result

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.communicate()


if __name__ == "__main__":
    main()
