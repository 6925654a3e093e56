"""The benchmarks' own arithmetic and checks, and that gunid takes what they start it with."""

import importlib.util
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
