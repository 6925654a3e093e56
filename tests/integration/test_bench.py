"""The benchmarks' own arithmetic and checks, and that gunid takes what they start it with."""

import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest

from programs import GUNID, ROOT, run

BENCH = ROOT / "tests" / "bench"


@pytest.fixture(scope="module", autouse=True)
def bench_modules():
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture
def instructions():
    loader = SourceFileLoader("instructions", str(BENCH / "instructions"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_ratios_are_of_one_repetition():
    from compare import Sample, rows_of
    rows = rows_of({"hello": {"gunid": [Sample(100, 5), Sample(50, 10), Sample(80, 8)],
                              "peer": [Sample(50, 10), Sample(25, 20), Sample(20, 32)]}})
    peer = next(row for row in rows if row.server == "peer")
    assert peer.values["cpu_us"] == 20
    assert peer.ratios["cpu_us"] == 2.0
    assert peer.ratios["requests_per_s"] == 0.5
    assert peer.ratios["p99_ms"] is None


def test_aims_are_judged():
    import aims
    from compare import Sample, rows_of
    samples = {"hello": {"gunid": [Sample(100, 5, 1, 2, 30)], "floor": [Sample(150, 4, 1, 2, 1)],
                         "gunicorn": [Sample(120, 6, 2, 1, 40)]}}
    rows = {(row.workload, row.server): row for row in rows_of(samples)}
    figures = {figure.name: figure for figure in aims.figures(rows, samples, 50)}
    assert figures["hello: CPU to the floor's"].value == 1.25
    assert figures["hello: CPU to the floor's"].met is False
    assert figures["hello: CPU of the statistics, of all of a request"].value == pytest.approx(1.0)
    assert figures["requests/s: the worst to Gunicorn's, hello"].met is False
    assert figures["CPU: the worst to Gunicorn's, hello"].met is True
    assert figures["p99: the worst to Gunicorn's, hello"].value == 2.0


def test_sleeping_threads_are_compared_with_the_ideal():
    import aims
    from compare import Sample, rows_of
    samples = {"sleep": {"gunid": [Sample(390, 90)]}}
    rows = {(row.workload, row.server): row for row in rows_of(samples)}
    [share] = aims.figures(rows, samples, 50)
    assert (share.name, share.value, share.met) == (aims.SLEEPING, 97.5, True)


def test_growth_of_instructions_fails_on_the_same_versions_only(instructions, capsys):
    stored = {"instructions": {"hello": 1000}}
    assert instructions.compare({"hello": 1050}, stored, same_versions=True)
    assert not instructions.compare({"hello": 1051}, stored, same_versions=True)
    assert instructions.compare({"hello": 2000}, stored, same_versions=False)
    assert instructions.compare({"new": 2000}, stored, same_versions=True)
    assert "TOO MUCH" in capsys.readouterr().out


def test_gunid_takes_the_options_of_every_workload(tmp_path):
    from peers import Place, gunid
    from workloads import WORKLOADS
    for workload in WORKLOADS:
        if workload.application != "application:app":
            continue
        command = gunid(workload, Place(8000, 8001, tmp_path, GUNID.parent))
        result = run(*command[:1], "--check-config", *command[1:], cwd=BENCH)
        assert result.returncode == 0, (workload.name, result.stderr)


def test_cpu_time_is_of_all_threads_also_of_those_that_have_ended():
    from environment import BenchmarkError
    from process_cost import cpu_seconds
    source = ("import threading, time\n"
              "def spin():\n"
              "    while time.thread_time() < 0.1: pass\n"
              "thread = threading.Thread(target=spin)\n"
              "thread.start(), thread.join()\n"
              "print('spun', flush=True)\n"
              "input()\n")
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "spun\n"
        assert cpu_seconds(process.pid) >= 0.1
        process.communicate("\n")
    with pytest.raises(BenchmarkError, match="has ended"):
        cpu_seconds(process.pid)


def test_memory_is_the_proportional_share():
    from process_cost import pss_of
    assert pss_of("00400000-7fff [rollup]\nRss:   900 kB\nPss:   12 kB\nPss_Anon:  3 kB\n") == 12288


def wrk_output(**changes: int) -> str:
    counts = {"requests": 20, "bytes": 4000, "duration_us": 2_000_000, "p50_us": 100, "p99_us": 250,
              "connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0} | changes
    return f"Running 2s test\nreport {json.dumps(counts)}\n"


def test_report_of_wrk():
    import wrk
    from environment import BenchmarkError
    report = wrk.parse(wrk_output())
    assert (report.per_second, report.p50_ms, report.p99_ms) == (10, 0.1, 0.25)
    for output in (wrk_output(status=1), wrk_output(read=1), wrk_output(requests=0), "no address"):
        with pytest.raises(BenchmarkError):
            wrk.parse(output)


def test_first_answers_are_of_each_process_of_the_new_load():
    from watch import Answer, first_answers
    answers = [Answer(0, 1, pid=1, load=5), Answer(2, 4, pid=3, load=9), Answer(2, 3, pid=2, load=9),
               Answer(4, 5, pid=2, load=9)]
    assert [(answer.pid, answer.came) for answer in first_answers(answers)] == [(1, 1), (2, 3), (3, 4)]
    assert [answer.pid for answer in first_answers(answers, load_after_ns=5)] == [2, 3]


def test_a_percentile_is_a_value():
    import load
    assert load.percentile([3, 1, 2, 4], 0.5) == 2
    assert load.percentile([3, 1, 2, 4], 0.99) == 4


def test_figures_have_a_column_for_gunicorn_if_one_has_its_value():
    from figures import Figure, markdown, median
    alone = Figure("one", 2, "s", at_most=1)
    assert markdown([alone]).splitlines() == ["| figure | value | unit | aim |  |",
                                              "| --- | --: | --- | --- | --- |",
                                              "| one | 2 | s | <= 1 | MISSED |"]
    beside = median("two", "s", [3, 1, 2], [4, 6], at_least=2)
    assert beside.met and beside.gunicorn == 5
    assert markdown([alone, beside]).splitlines()[2:] == ["| one | 2 | s | <= 1 | MISSED |  |",
                                                          "| two | 2 | s | >= 2 | met | 5 |"]


def test_starts_aim_at_gunicorns_time_and_reloads_at_clients_who_do_not_notice():
    from parts.importing import figure
    start = figure("--preload, start of 4 workers: all have answered", [1.0, 1.2, 1.1], [1.05])
    assert (start.value, start.at_most, start.met) == (1.1, 1.05, False)
    reload = figure("reload of 4 workers: all new workers have answered", [8.0], [2.0])
    assert (reload.met, reload.gunicorn) == (None, 2.0)
    wait = figure("reload of 4 workers: longest wait of a request", [0.02], [1.5])
    assert (wait.at_most, wait.met) == (0.1, True)
    lost = figure("reload of 4 workers: requests lost", [0, 1, 1], [])
    assert (lost.unit, lost.met) == ("requests", False)


def test_few_per_cent_are_judged_by_the_least_of_each():
    from figures import least_ratio
    figure = least_ratio("ratio", [9.0, 5.2, 6.0], [5.0, 8.0, 7.0], at_most=1.05)
    assert figure.value == pytest.approx(1.04) and figure.met
    assert figure.samples == pytest.approx([1.8, 0.65, 6 / 7])


def test_what_reads_disturb_is_compared_with_as_many_reads_of_another():
    from parts.control import Loaded, Samples, figures_of

    def loaded(cost_us: float, supervisor_s: float, reads_s: list[float]) -> Loaded:
        return Loaded(per_s=100, p99_ms=1, cost_us=cost_us, supervisor_s=supervisor_s,
                      reads_s=reads_s, reads_per_s=980)

    samples = Samples(without=[loaded(4, 0.001, [])], elsewhere=[loaded(5, 0.001, [])],
                      beside=[loaded(5.5, 0.011, [0.001] * 98 + [0.02] * 2)])
    figures = {figure.name: figure for figure in figures_of(samples, "read")}
    assert figures["read: CPU of the supervisor per read"].value == pytest.approx(100)
    assert figures["read: CPU of the worker per request, to without"].value == 1.375
    assert [name for name, figure in figures.items() if figure.met is False] == [
        "read: CPU of the worker per request, to reads of another gunid", "read: reads answered",
        "read: p99 of the reads"]


def test_an_error_is_one_line():
    result = run(BENCH / "scale", "--parts", "memory,nothing", "--bin-dir", GUNID.parent)
    assert result.returncode == 1
    assert result.stderr.startswith("scale: there is no part 'nothing': import, memory,")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["import", "memory", "connections", "supervisor", "control",
                                  "blocking"])
def test_every_part_of_scale_runs(name):
    from parts import PARTS
    from parts.part import Bench, Plan
    plan = Plan(repetitions=1, wrk_s=1, warm_s=0, modes=((),), import_s=0, imports=1, started=2,
                scaled=2, settles_s=(0,), memory_workers=(2,), connections=20, idle_s=0.3,
                idle_workers=2, blocked_s=0.5, crowds=1)
    cpus = sorted(os.sched_getaffinity(0))
    [part] = [part for part in PARTS if part.name == name]
    figures = part.measure(Bench(plan, GUNID.parent, cpus[0], cpus[-1]))
    assert figures
    assert all(figure.value >= 0 for figure in figures if "ratio" != figure.unit)
    assert len({figure.name for figure in figures}) == len(figures)
