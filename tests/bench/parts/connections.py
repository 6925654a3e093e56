"""What idle keep-alive connections cost the worker that has them."""

import contextlib
import resource
import time
from typing import Iterator

import load
import wrk
from environment import BenchmarkError
from figures import Figure, least_ratio, median
from gunid_process import GunidProcess
from parts.part import CONNECTIONS, Bench
from process_cost import cpu_seconds, pss_bytes

PER_SOURCE = 4000  # connections from one address: there are 28,000 ports
MOST_BYTES = 2048  # as the README says
MOST_IDLE_PERCENT = 0.1
MOST_RATIO = 1.05


def measure(bench: Bench) -> list[Figure]:
    plan = bench.plan
    allow_files(plan.connections + 1000)
    with serve(bench) as idle, serve(bench) as free:
        for server in (idle, free):
            server.wait_ready()
            bench.warm(server)
        [worker] = idle.worker_pids()
        before = pss_bytes(worker)
        with connections(idle.port, plan.connections) as clients:
            each = (pss_bytes(worker) - before) / plan.connections
            cpu_s = cpu_seconds(worker)
            time.sleep(plan.idle_s / 3)
            share = (cpu_seconds(worker) - cpu_s) / (plan.idle_s / 3) * 100
            costs, without = costs_in_turns(bench, idle, free)
            for client in clients[::10]:
                client.get()  # it is still there
    name = f"{plan.connections:,} idle connections"
    return [Figure(f"{name}: memory of the worker for each", each, "bytes", at_most=MOST_BYTES),
            Figure(f"{name}: CPU of the worker", share, "%", at_most=MOST_IDLE_PERCENT),
            median(f"{name}: CPU per request of hello", "us", costs),
            least_ratio(f"{name}: CPU per request of hello, to without", costs, without,
                        at_most=MOST_RATIO)]


def serve(bench: Bench) -> GunidProcess:
    return GunidProcess(bench.programs, {bench.cpu}, "-k", "gthread", "--worker-connections",
                        bench.plan.connections + 2 * CONNECTIONS, "--keep-alive", 600, "application:app")


def allow_files(count: int) -> None:
    """Open files of this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
        except (OSError, ValueError):
            raise BenchmarkError(f"{count} open files are needed, {hard} allowed: ulimit -n") from None


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[load.Client]]:
    """Connections that have had an answer each, and stay."""
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(count):
            source = f"127.0.0.{2 + number // PER_SOURCE}"
            clients.append(stack.enter_context(load.Client(port, source=source)))
            clients[-1].get()
        yield clients


def costs_in_turns(bench: Bench, *servers: GunidProcess) -> list[list[float]]:
    """CPU time per request of each, microseconds."""
    costs: list[list[float]] = [[] for _ in servers]
    for _ in range(bench.plan.repetitions):
        for server, found in zip(servers, costs):
            found.append(cost_us(server, bench.plan.wrk_s))
    return costs


def cost_us(server: GunidProcess, seconds: int) -> float:
    before = server.cpu_seconds()
    report = wrk.run(server.url(), seconds, CONNECTIONS)
    return (server.cpu_seconds() - before) / report.requests * 1e6
