"""A crowd of clients that ask for much patience, in one process of their own.

    python3 crowd.py PORT KIND=COUNT...

says "ready" when all of them have begun, goes on until its standard input ends, and then tells as
JSON how many of each kind are still connected, and how many bytes each of these has received.
"""

import json
import resource
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path

TICK = 0.25  # seconds between the small steps of each client
BODY_SIZE = 5_000_000
DISCARD = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


class Client:
    """Connects, and then sends nothing."""

    receive_buffer = 0  # 0: as the system has it

    def __init__(self, port: int):
        self.connected = True
        self.received = 0
        self.socket = socket.socket()
        if self.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", port))
        self.begin()
        self.socket.setblocking(False)

    def begin(self) -> None:
        pass

    def step(self) -> None:
        pass

    def send(self, text: str) -> None:
        try:
            self.socket.send(text.encode())
        except BlockingIOError:
            pass
        except OSError:
            self.connected = False

    def receive(self, size: int) -> None:
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += len(data)
        self.connected = bool(data)

    def end(self) -> None:
        """Resets the connection: thousands that are closed would hold as many ports for a while."""
        if self.connected:
            self.receive(4096)  # an answer that nobody asked for, or the end of the connection
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
        self.socket.close()


class Kept(Client):
    """Has had an answer, and keeps the connection."""

    def begin(self) -> None:
        self.send("GET / HTTP/1.1\r\nHost: crowd\r\n\r\n")
        answer = self.socket.recv(65536)
        self.connected = answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" not in answer
        self.received = len(answer)


class SlowHead(Client):
    """Sends its request head byte by byte."""

    def begin(self) -> None:
        self.send("GET / HTTP/1.1\r\nHost: crowd\r\nX-Slow: ")

    def step(self) -> None:
        self.send("x")


class SlowBody(Client):
    """Sends the body of its request byte by byte."""

    def begin(self) -> None:
        self.send(f"POST /check HTTP/1.1\r\nHost: crowd\r\nContent-Length: {BODY_SIZE}\r\n\r\n")

    def step(self) -> None:
        self.send("x")


class SlowReader(Client):
    """Takes little of a large response at a time."""

    receive_buffer = 4096

    def begin(self) -> None:
        self.send(f"GET /generated?size={BODY_SIZE}&piece=65536 HTTP/1.1\r\nHost: crowd\r\n\r\n")

    def step(self) -> None:
        self.receive(2048)


KINDS = {"idle": Client, "kept": Kept, "head": SlowHead, "body": SlowBody, "reader": SlowReader}
Members = dict[str, list[Client]]


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = int(sys.argv[1])
    counts = [word.split("=") for word in sys.argv[2:]]
    crowd = {kind: [KINDS[kind](port) for _ in range(int(count))] for kind, count in counts}
    print("ready", flush=True)
    step_until_told(crowd)
    print(json.dumps({kind: end_all(clients) for kind, clients in crowd.items()}), flush=True)


def step_until_told(crowd: Members) -> None:
    while not select.select([sys.stdin], [], [], TICK)[0]:
        for client in (client for clients in crowd.values() for client in clients):
            if client.connected:
                client.step()


def end_all(clients: list[Client]) -> dict[str, object]:
    for client in clients:
        client.end()
    connected = [client for client in clients if client.connected]
    return {"connected": len(connected), "received": [client.received for client in connected]}


class Crowd:
    """That process, as a test sees it: with Crowd(port, idle=10) as crowd: ..."""

    def __init__(self, port: int, **counts: int):
        words = [f"{kind}={count}" for kind, count in counts.items()]
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(port), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Crowd":
        if self.process.stdout.readline() != "ready\n":
            self.__exit__()
            raise AssertionError("the crowd could not begin")
        return self

    def leave(self) -> dict[str, dict]:
        """Ends the clients, and returns what they tell."""
        return json.loads(self.process.communicate(timeout=60)[0])

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.communicate()


if __name__ == "__main__":
    main()
