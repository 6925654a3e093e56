"""Threads: quick requests while others are blocked, requests that come at once, and such as wait for a
millisecond after others that do not."""

import urllib.request

import load
import wrk
from application import TURN_S
from environment import BenchmarkError
from figures import Figure, median
from gunid_process import GunidProcess
from parts.part import CONNECTIONS, Bench

THREADS = 4
PAUSE_S = 0.001  # between quick requests: they come to a server that waits


def measure(bench: Bench) -> list[Figure]:
    return blocked(bench) + simultaneous(bench) + waiting(bench)


def serve(bench: Bench, threads: int, *arguments: object) -> GunidProcess:
    return GunidProcess(bench.programs, {bench.cpu}, "-k", "gthread", "--threads", threads,
                        *arguments, "application:app")


def blocked(bench: Bench) -> list[Figure]:
    """Quick requests while all threads but one are blocked."""
    plan = bench.plan
    measured_s = 0.4 * plan.blocked_s  # twice, and a margin
    with serve(bench, THREADS) as server:
        server.wait_ready()
        crowd = load.Crowd(server.port, THREADS - 1, f"/sleep?{plan.blocked_s}")
        server.wait_in_flight(THREADS - 1)
        kept = load.latencies_kept(server.port, measured_s, PAUSE_S)
        new = load.latencies_new(server.port, measured_s, PAUSE_S)
        still = THREADS - 1 - crowd.answered
        crowd.result()
    if still != THREADS - 1:
        raise BenchmarkError("the blocked requests ended too early: nothing was measured")
    return [Figure(f"quick request, {THREADS - 1} of {THREADS} threads blocked, {name}: "
                   f"p{100 * share:g}", load.percentile(times, share) * 1e3, "ms", at_most=aim)
            for name, times in (("kept connection", kept), ("new connections", new))
            for share, aim in ((0.5, None), (0.99, 5))]


def simultaneous(bench: Bench) -> list[Figure]:
    """Four requests of a second, two workers with two threads each."""
    with serve(bench, 2, "--workers", 2, "--keep-alive", 0) as server:
        server.wait_ready()
        times = [load.Crowd(server.port, 4, "/sleep?1").result() for _ in range(bench.plan.crowds)]
    return [Figure("4 requests of 1 s at once, 2 workers of 2 threads", max(times), "s", at_most=1.2,
                   samples=times)]


def waiting(bench: Bench) -> list[Figure]:
    """Requests that wait for a millisecond, as those that read a cache do, on eight threads: from the
    start, and of a worker that has been busy with short ones until then."""
    seconds = bench.plan.wrk_s
    steady, turned = [], []
    for _ in range(bench.plan.crowds):
        with serve(bench, 8) as server:
            server.wait_ready()
            steady.append(wrk.run(server.url("/sleep?0.001"), seconds, CONNECTIONS).per_second)
            report = wrk.run(server.url("/turn?0.001"), seconds + 1, CONNECTIONS)
            with urllib.request.urlopen(server.url("/slept")) as response:
                turned.append(int(response.read()) / (report.seconds - TURN_S))
    name = "requests that wait for 1 ms, 8 threads"
    return [median(f"{name}: requests/s", "1/s", steady),
            median(f"{name}: after short ones, to steadily", "ratio",
                   [one / other for one, other in zip(turned, steady)], at_least=0.8)]
