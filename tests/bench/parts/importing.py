"""Start, scale and reload of an application whose import takes long, as its clients see them."""

import time
from collections import defaultdict

from figures import Figure, median
from gunicorn_process import GunicornProcess
from gunid_process import GunidProcess
from parts.part import Bench
from watch import Answer, Watch

APPLICATION = "project_application:app"
LONGEST_WAIT_S = 0.1  # more is noticed

# What is measured, by the name of the figure.
Times = dict[str, list[float]]


def measure(bench: Bench) -> list[Figure]:
    plan = bench.plan
    figures = []
    for mode in plan.modes:
        gunid: Times = defaultdict(list)
        gunicorn: Times = defaultdict(list)
        for _ in range(plan.imports):
            start_one_and_scale(bench, gunid, *mode)
            for settle_s in plan.settles_s:
                start_and_reload(bench, gunid, settle_s, *mode)
            gunicorn_starts_and_scales(bench, gunicorn, *mode)
            gunicorn_starts_and_reloads(bench, gunicorn, *mode)
        prefix = "".join(f"{option}, " for option in mode)
        figures += [figure(prefix + name, samples, gunicorn[name]) for name, samples in gunid.items()]
    return figures


def figure(name: str, samples: list[float], gunicorn: list[float]) -> Figure:
    """Starting and scaling aim at Gunicorn's time; a reload, which goes worker by worker, at clients
    who do not notice it."""
    made = median(name, "s", samples, gunicorn)
    if "longest wait" in name:
        made.at_most = LONGEST_WAIT_S
    elif "lost" in name:
        made.at_most, made.unit = 0, "requests"
    elif "reload of" not in name and made.gunicorn is not None:
        made.at_most = made.gunicorn
    return made


def environment(bench: Bench) -> dict[str, str]:
    return {"BENCH_IMPORT_S": str(bench.plan.import_s)}


def note_start(times: Times, workers: int, began: float, firsts: list[Answer]) -> None:
    if workers > 1:
        times[f"start of {workers} workers: first answer"].append(firsts[0].came - began)
    times[f"start of {workers} worker{'s' * (workers > 1)}: all have answered"].append(
        firsts[-1].came - began)


def note_reload(times: Times, name: str, watch: Watch, began: float, firsts: list[Answer]) -> None:
    times[f"{name}: all new workers have answered"].append(firsts[-1].came - began)
    times[f"{name}: longest wait of a request"].append(watch.longest_wait(began))
    times[f"{name}: requests lost"].append(len(watch.failures))


def start_one_and_scale(bench: Bench, times: Times, *options: object) -> None:
    plan = bench.plan
    began = time.monotonic()
    with GunidProcess(bench.programs, bench.cpus, *options, APPLICATION,
                      environment=environment(bench)) as server:
        with Watch(server, 1) as watch:
            note_start(times, 1, began, watch.wait_workers(1))
        with Watch(server, plan.scaled) as watch:
            began = time.monotonic()
            server.control("scale", plan.scaled)
            name = f"1 to {plan.scaled} workers"
            times[f"{name}: gunictl scale returns"].append(time.monotonic() - began)
            times[f"{name}: all have answered"].append(
                watch.wait_workers(plan.scaled)[-1].came - began)


def start_and_reload(bench: Bench, times: Times, settle_s: int, *options: object) -> None:
    plan = bench.plan
    began = time.monotonic()
    with GunidProcess(bench.programs, bench.cpus, "--workers", plan.started, "--reload-settle",
                      settle_s, *options, APPLICATION, environment=environment(bench)) as server, \
            Watch(server, plan.started) as watch:
        note_start(times, plan.started, began, watch.wait_workers(plan.started))
        server.wait_ready()
        began, began_ns = time.monotonic(), time.monotonic_ns()
        server.control("reload")
        name = f"reload of {plan.started} workers" + f", settling {settle_s} s" * (settle_s > 0)
        times[f"{name}: gunictl reload returns"].append(time.monotonic() - began)
        note_reload(times, name, watch, began, watch.wait_workers(plan.started, began_ns))


def gunicorn_starts_and_scales(bench: Bench, times: Times, *options: object) -> None:
    plan = bench.plan
    began = time.monotonic()
    with GunicornProcess(bench.cpus, *options, APPLICATION, environment=environment(bench)) as server:
        with Watch(server, 1) as watch:
            note_start(times, 1, began, watch.wait_workers(1))
        with Watch(server, plan.scaled) as watch:
            began = time.monotonic()
            server.add_workers(plan.scaled - 1)
            times[f"1 to {plan.scaled} workers: all have answered"].append(
                watch.wait_workers(plan.scaled)[-1].came - began)


def gunicorn_starts_and_reloads(bench: Bench, times: Times, *options: object) -> None:
    plan = bench.plan
    began = time.monotonic()
    with GunicornProcess(bench.cpus, "--workers", plan.started, *options, APPLICATION,
                         environment=environment(bench)) as server, \
            Watch(server, plan.started) as watch:
        note_start(times, plan.started, began, watch.wait_workers(plan.started))
        if "--preload" in options:  # then HUP does not import the application anew
            return
        began, began_ns = time.monotonic(), time.monotonic_ns()
        server.reload()
        note_reload(times, f"reload of {plan.started} workers", watch, began,
                    watch.wait_workers(plan.started, began_ns))
