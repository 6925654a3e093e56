"""What it costs to have workers that have nothing to do."""

import time

from figures import Figure
from gunicorn_process import GunicornProcess
from gunid_process import GunidProcess
from parts.part import Bench
from process_cost import cpu_seconds

SETTLE_S = 2.0
MOST_PERCENT = 0.1  # of a CPU
MOST_OF_ALL_PERCENT = 1


def measure(bench: Bench) -> list[Figure]:
    plan = bench.plan
    options = ("--workers", plan.idle_workers, "application:app")
    with GunidProcess(bench.programs, {bench.cpu}, *options) as gunid, \
            GunicornProcess({bench.cpu}, *options) as gunicorn:
        gunid.wait_ready()
        gunicorn.wait_workers(plan.idle_workers)
        time.sleep(min(SETTLE_S, plan.idle_s))  # for their workers to settle
        workers, their_workers = gunid.worker_pids(), gunicorn.worker_pids()
        zygotes = [pid for pid in gunid.pids() if pid not in (gunid.supervisor_pid, *workers)]
        groups = ([gunid.supervisor_pid], zygotes, workers, [gunicorn.process.pid], their_workers)
        before = [cpu_of(pids) for pids in groups]
        time.sleep(plan.idle_s)
        shares = [(cpu_of(pids) - start) / plan.idle_s * 100 for pids, start in zip(groups, before)]
    supervisor, zygote, all_workers, arbiter, all_of_theirs = shares
    name = f"{plan.idle_workers} idle workers"
    return [Figure(f"{name}: CPU of the supervisor", supervisor, "%", at_most=MOST_PERCENT,
                   gunicorn=arbiter),
            Figure(f"{name}: CPU of the zygote", zygote, "%"),
            Figure(f"{name}: CPU of all workers", all_workers, "%", at_most=MOST_OF_ALL_PERCENT,
                   gunicorn=all_of_theirs)]


def cpu_of(pids: list[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)
