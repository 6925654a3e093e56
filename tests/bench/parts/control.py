"""Whether reading the statistics, often, disturbs what is served meanwhile.

What would disturb is the workers: their scoreboard is read, and they take no part in it. That a
supervisor on the CPU of a worker takes time from it is seen in the requests per second, and is no
disturbance of the worker; so the aim is the CPU time of the worker per request. The worker has the first
CPU, and the supervisor once the same and once that of the load.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import load
import wrk
from environment import BenchmarkError
from figures import Figure, median
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


@dataclass
class Samples:
    """One of each per repetition, but for the times of the reads."""

    cost_ratios: list[float] = field(default_factory=list)
    costs_us: list[float] = field(default_factory=list)
    speed_ratios: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    p99_without_ms: list[float] = field(default_factory=list)
    read_costs_us: list[float] = field(default_factory=list)
    reads_per_s: list[float] = field(default_factory=list)
    reads_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    report: wrk.Report
    worker_s: float
    supervisor_s: float

    @property
    def cost_us(self) -> float:
        return self.worker_s / self.report.requests * 1e6


def measure(bench: Bench) -> list[Figure]:
    figures = []
    with GunidProcess(bench.programs, {bench.cpu}, "-k", "gthread", "application:app") as server:
        server.wait_ready()
        bench.warm(server)
        for cpu, place in ((bench.cpu, "the worker's CPU"), (bench.load_cpu, "the load's CPU")):
            move(server.supervisor_pid, cpu)
            figures += figures_of(in_turns(bench, server),
                                  f"statistics read 1,000 times/s, supervisor on {place}")
    return figures


def move(pid: int, cpu: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cpu})


def in_turns(bench: Bench, server: GunidProcess) -> Samples:
    samples = Samples()
    [worker] = server.worker_pids()
    for _ in range(bench.plan.repetitions):
        without = loaded(server, worker, bench.plan.wrk_s)
        with Reader(server.control_socket) as reader:
            beside = loaded(server, worker, bench.plan.wrk_s)
        samples.cost_ratios.append(beside.cost_us / without.cost_us)
        samples.costs_us.append(beside.cost_us)
        samples.speed_ratios.append(beside.report.per_second / without.report.per_second)
        samples.p99_ms.append(beside.report.p99_ms)
        samples.p99_without_ms.append(without.report.p99_ms)
        samples.read_costs_us.append((beside.supervisor_s - without.supervisor_s)
                                     / len(reader.times) * 1e6)
        samples.reads_per_s.append(len(reader.times) / reader.seconds)
        samples.reads_s += reader.times
    return samples


def loaded(server: GunidProcess, worker: int, seconds: int) -> Loaded:
    worker_s, supervisor_s = cpu_seconds(worker), cpu_seconds(server.supervisor_pid)
    report = wrk.run(server.url(), seconds, CONNECTIONS)
    return Loaded(report, cpu_seconds(worker) - worker_s,
                  cpu_seconds(server.supervisor_pid) - supervisor_s)


def figures_of(samples: Samples, name: str) -> list[Figure]:
    return [
        median(f"{name}: CPU of the worker per request, to without", "ratio", samples.cost_ratios,
               at_most=MOST_RATIO),
        median(f"{name}: CPU of the worker per request", "us", samples.costs_us),
        median(f"{name}: requests/s, to without", "ratio", samples.speed_ratios),
        median(f"{name}: p99 of hello", "ms", samples.p99_ms),
        median(f"{name}: p99 of hello without", "ms", samples.p99_without_ms),
        median(f"{name}: CPU of the supervisor per read", "us", samples.read_costs_us),
        median(f"{name}: reads answered", "1/s", samples.reads_per_s, at_least=LEAST_PER_SECOND),
        Figure(f"{name}: p99 of the reads", load.percentile(samples.reads_s, 0.99) * 1e3, "ms",
               at_most=MOST_READ_MS)]
