"""Memory of a Django project by number of workers, each of which has served requests."""

import statistics

from figures import Figure
from gunicorn_process import GunicornProcess
from gunid_process import GunidProcess
from parts.part import Bench
from process_cost import pss_bytes
from server_process import ServerProcess
from watch import Watch

REQUESTS = 3  # of each worker


def measure(bench: Bench) -> list[Figure]:
    figures = []
    for mode in bench.plan.modes:
        for workers in bench.plan.memory_workers:
            options = ("--workers", workers, *mode, "project_application:app")
            one, all_of_them = memory_mb(GunidProcess(bench.programs, bench.cpus, *options), workers)
            their_one, all_of_theirs = memory_mb(GunicornProcess(bench.cpus, *options), workers)
            name = "".join(f"{option}, " for option in mode) + f"{workers} worker{'s' * (workers > 1)}"
            figures += [
                Figure(f"{name}: memory of one", one, "MB", at_most=their_one, gunicorn=their_one),
                Figure(f"{name}: memory of all processes", all_of_them, "MB", at_most=all_of_theirs,
                       gunicorn=all_of_theirs)]
    return figures


def memory_mb(server: ServerProcess, workers: int) -> tuple[float, float]:
    """PSS of a worker, the mean, and of all processes of the server."""
    with server:
        with Watch(server, workers, "/admin/login/") as watch:
            watch.wait_workers(workers)
            pids = server.worker_pids()
            watch.wait_answers(pids, REQUESTS)
        return (statistics.mean(pss_bytes(pid) for pid in pids) / 1e6, server.memory_bytes() / 1e6)
