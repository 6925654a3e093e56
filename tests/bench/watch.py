"""Who answers, seen from outside: clients that ask over and over, each time over a new connection."""

import http.client
import threading
import time
from dataclasses import dataclass

from environment import BenchmarkError
from server_process import ServerProcess

# How long the application keeps a request, so that those at the same time go to different workers.
HOLD_S = 0.02
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    asked: float  # monotonic
    came: float
    pid: int
    load: int  # when its code was imported


class Watch:
    """Needs project_application. As many clients as workers are expected, so that idle ones get one."""

    def __init__(self, server: ServerProcess, clients: int, path: str = "/"):
        self.server = server
        self.target = f"{path}?hold={HOLD_S}"
        self.answers: list[Answer] = []
        self.failures: list[str] = []  # of requests, after the first answer
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Watch":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def wait_workers(self, count: int, load_after_ns: int = 0) -> list[Answer]:
        """The first answers of so many workers whose code was imported after that time."""
        deadline = time.monotonic() + PATIENCE_S
        while len(firsts := first_answers(self.answers[:], load_after_ns)) < count:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.server.name}: {len(firsts)} instead of {count} workers "
                                     f"have answered in {PATIENCE_S:g} s\n{self.server.log_end()}")
            if self.server.process.poll() is not None:
                raise BenchmarkError(f"{self.server.name} has ended:\n{self.server.log_end()}")
            time.sleep(0.005)
        return firsts

    def wait_answers(self, pids: list[int], each: int) -> None:
        """Until all of these have answered so many requests."""
        start = len(self.answers)
        deadline = time.monotonic() + PATIENCE_S
        while any(count < each for count in self._counts(pids, start).values()):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.server.name}: not all of {len(pids)} workers have "
                                     f"answered {each} requests in {PATIENCE_S:g} s")
            time.sleep(0.05)

    def longest_wait(self, since: float) -> float:
        """Of a request that was answered after that time; what it is held for is not counted."""
        return max(answer.came - answer.asked for answer in self.answers[:]
                   if answer.came > since) - HOLD_S

    def _counts(self, pids: list[int], start: int) -> dict[int, int]:
        counts = dict.fromkeys(pids, 0)
        for answer in self.answers[start:]:
            if answer.pid in counts:
                counts[answer.pid] += 1
        return counts

    def _ask(self) -> None:
        while not self.done.is_set():
            try:
                self.answers.append(self._get())
            except (OSError, http.client.HTTPException) as error:
                if self.answers:  # before, it is not there yet
                    self.failures.append(f"{type(error).__name__} {error}")
                time.sleep(0.005)

    def _get(self) -> Answer:
        asked = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", self.target)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise http.client.HTTPException(f"status {response.status}")
        return Answer(asked, time.monotonic(), int(response.headers["X-Pid"]),
                      int(response.headers["X-Load"]))


def first_answers(answers: list[Answer], load_after_ns: int = 0) -> list[Answer]:
    """The first one of each process whose code was imported after that time, in the order they came."""
    firsts: dict[int, Answer] = {}
    for answer in sorted(answers, key=lambda answer: answer.came):
        if answer.load > load_after_ns:
            firsts.setdefault(answer.pid, answer)
    return list(firsts.values())
