"""Whether reading the statistics, often, disturbs what is served meanwhile.

The worker has the first CPU, and the supervisor once the same and once that of the load. A supervisor
takes CPU time from whoever shares its CPU, as any process would: requests per second show that. It
disturbs the worker if a request needs more CPU time of the worker than without. But a worker also needs
more for each when it gets fewer at a time, because wrk has less of its CPU. So a second gunid, which
serves nobody, is read as often, its supervisor on the same CPU: the difference between the two is what
the reads do to the worker that is read.
"""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import load
import wrk
from environment import BenchmarkError
from figures import Figure, least_ratio, median
from gunid_process import ControlConnection, GunidProcess
from parts.part import CONNECTIONS, Bench
from process_cost import cpu_seconds

PER_SECOND = 1000
MOST_RATIO = 1.05
MOST_READ_MS = 10
LEAST_PER_SECOND = 0.99 * PER_SECOND


class Reader:
    """Reads the statistics at times that are fixed beforehand, over a connection that is kept if the
    server keeps it, else over a new one for each read."""

    def __init__(self, socket: Path):
        self.connection = ControlConnection(socket)
        self.times: list[float] = []  # of each read, from when it was due
        self.seconds = 0.0
        self.error: Exception | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Reader":
        self.connection.connect()
        self.thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.done.set()
        self.thread.join()
        self.connection.close()
        if self.error:
            raise BenchmarkError(f"reading the statistics: {type(self.error).__name__} {self.error}")

    def _run(self) -> None:
        began = time.monotonic()
        try:
            while not self.done.is_set():
                due = began + len(self.times) / PER_SECOND
                if (pause := due - time.monotonic()) > 0:
                    time.sleep(pause)
                self._read()
                self.times.append(time.monotonic() - due)
        except Exception as error:  # for the thread that waits
            self.error = error
        self.seconds = time.monotonic() - began

    def _read(self) -> None:
        self.connection.request("GET", "/v1/stats")
        response = self.connection.getresponse()
        document = response.read()
        if response.status != 200 or b'"requests"' not in document:
            raise BenchmarkError(f"answered {response.status}")


@dataclass(frozen=True)
class Loaded:
    """One repetition."""

    per_s: float  # requests
    p99_ms: float
    cost_us: float  # of the worker, per request
    supervisor_s: float  # CPU
    reads_s: list[float]  # time of each read
    reads_per_s: float


@dataclass(frozen=True)
class Samples:
    without: list[Loaded]
    beside: list[Loaded]  # reads of the statistics
    elsewhere: list[Loaded]  # as many reads of another gunid's


def measure(bench: Bench) -> list[Figure]:
    figures = []
    with serve(bench) as server, serve(bench) as other:
        for one in (server, other):
            one.wait_ready()
        bench.warm(server)
        for cpu, place in ((bench.cpu, "the worker's CPU"), (bench.load_cpu, "the load's CPU")):
            move(server.supervisor_pid, cpu)
            move(other.supervisor_pid, cpu)
            samples = Samples([], [], [])
            for _ in range(bench.plan.repetitions):
                samples.without.append(loaded(server, bench.plan.wrk_s))
                samples.beside.append(loaded(server, bench.plan.wrk_s, read=server))
                samples.elsewhere.append(loaded(server, bench.plan.wrk_s, read=other))
            figures += figures_of(samples, f"statistics read 1,000 times/s, supervisor on {place}")
    return figures


def serve(bench: Bench) -> GunidProcess:
    return GunidProcess(bench.programs, {bench.cpu}, "-k", "gthread", "application:app")


def move(pid: int, cpu: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cpu})


def loaded(server: GunidProcess, seconds: int, read: GunidProcess | None = None) -> Loaded:
    [worker] = server.worker_pids()
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(Reader(read.control_socket)) if read else None
        worker_s, supervisor_s = cpu_seconds(worker), cpu_seconds(server.supervisor_pid)
        report = wrk.run(server.url(), seconds, CONNECTIONS)
        worker_s = cpu_seconds(worker) - worker_s
        supervisor_s = cpu_seconds(server.supervisor_pid) - supervisor_s
    return Loaded(report.per_second, report.p99_ms, worker_s / report.requests * 1e6, supervisor_s,
                  reader.times if reader else [], len(reader.times) / reader.seconds if reader else 0)


def figures_of(samples: Samples, name: str) -> list[Figure]:
    def costs(repetitions: list[Loaded]) -> list[float]:
        return [one.cost_us for one in repetitions]

    beside, without = samples.beside, samples.without
    reads_s = [read_s for one in beside for read_s in one.reads_s]
    return [
        least_ratio(f"{name}: CPU of the worker per request, to without", costs(beside),
                    costs(without)),
        least_ratio(f"{name}: CPU of the worker per request, to reads of another gunid",
                    costs(beside), costs(samples.elsewhere), at_most=MOST_RATIO),
        median(f"{name}: CPU of the worker per request", "us", costs(beside)),
        median(f"{name}: requests/s, to without", "ratio",
               [one.per_s / other.per_s for one, other in zip(beside, without)]),
        median(f"{name}: p99 of hello", "ms", [one.p99_ms for one in beside]),
        median(f"{name}: p99 of hello without", "ms", [one.p99_ms for one in without]),
        median(f"{name}: CPU of the supervisor per read", "us",
               [(one.supervisor_s - other.supervisor_s) / len(one.reads_s) * 1e6
                for one, other in zip(beside, without)]),
        median(f"{name}: reads answered", "1/s", [one.reads_per_s for one in beside],
               at_least=LEAST_PER_SECOND),
        Figure(f"{name}: p99 of the reads", load.percentile(reads_s, 0.99) * 1e3, "ms",
               at_most=MOST_READ_MS)]
