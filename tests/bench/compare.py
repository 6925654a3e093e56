"""gunid beside other servers, the floor and the bare application loop: requests, CPU, latency, memory.

For each workload all servers are started, on the first CPU; wrk, on the second, loads one at a time.
Repetitions are interleaved, so that what disturbs the machine disturbs all alike; compare the ratios,
which are taken within a repetition. An answer that is not 200 with the expected body, or an error of a
connection, ends the run with exit code 1. A missed aim is shown, not punished.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import aims
import plot
import wrk
from environment import HERE, ROOT, BenchmarkError, chosen, find_bin_dir, free_port, two_cpus
from figures import table
from peers import KEPT_S, PEERS, PYTHON, Peer, Place
from provenance import machine, output_of, versions
from server_process import ServerProcess
from workloads import BY_NAME as WORKLOADS_BY_NAME, WORKLOADS, Workload

PATIENCE_S = 20
FILE_BYTES = 100 * 1024 * 1024
OWN = "gunid"
BARE_LOOP = "bare loop"


@dataclass(frozen=True)
class Plan:
    repetitions: int
    seconds: int


FULL = Plan(repetitions=5, seconds=3)
QUICK = Plan(repetitions=2, seconds=1)


@dataclass(frozen=True)
class Sample:
    """One repetition."""

    requests_per_s: float
    cpu_us: float  # per request, user and system, all processes of the server
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None  # PSS, all processes of the server, after the load


MEASURES = tuple(Sample.__dataclass_fields__)


def request_of(workload: Workload) -> tuple[str, dict[str, str], bytes | None]:
    headers = dict(workload.headers)
    if not workload.kept:
        headers["Connection"] = "close"
    if workload.upload_bytes == 0:
        return "GET", headers, None
    return "POST", headers, b"x" * workload.upload_bytes


def check(server: ServerProcess, workload: Workload) -> int:
    """Length of the body of one answer; it must be the expected one."""
    method, headers, body = request_of(workload)
    content = server.fetch(method, workload.target, headers, body)
    if workload.answer_bytes is not None and len(content) != workload.answer_bytes:
        raise BenchmarkError(f"{server.name} answered {workload.name} with {len(content)} bytes")
    return len(content)


def run_wrk(server: ServerProcess, workload: Workload, seconds: int, answer_bytes: int) -> Sample:
    _, headers, _ = request_of(workload)
    before = server.cpu_seconds()
    try:
        report = wrk.run(server.url(workload.target), seconds, workload.connections, headers,
                         workload.pipelined, workload.upload_bytes)
    except BenchmarkError as error:
        raise BenchmarkError(f"{server.name}, {workload.name}: {error}\n{server.log_end()}") from None
    cpu_s = server.cpu_seconds() - before
    if report.bytes < report.requests * answer_bytes:
        raise BenchmarkError(f"{server.name}, {workload.name}: {report.requests} requests had only "
                             f"{report.bytes} bytes")
    return Sample(report.per_second, cpu_s / report.requests * 1e6, report.p50_ms, report.p99_ms,
                  server.memory_bytes() / 1e6)


def run_bare_loop(workload: Workload, seconds: int, cpu: int) -> Sample:
    result = subprocess.run([PYTHON, HERE / "bare_loop.py", workload.application, str(seconds)],
                            cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
                            timeout=seconds + PATIENCE_S,
                            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
    if result.returncode != 0:
        raise BenchmarkError(f"the bare loop of {workload.application} exited with "
                             f"{result.returncode}")
    figures = json.loads(result.stdout)
    requests = figures["requests"]
    return Sample(requests / figures["seconds"], figures["cpu_s"] / requests * 1e6)


@contextlib.contextmanager
def idle_connections(server: ServerProcess, workload: Workload):
    """Connections that have had an answer each, and stay."""
    request = f"GET {workload.target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(workload.idle):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S))
            client.sendall(request)
            if not client.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"{server.name}: an idle connection had no answer")
        yield


def beside(workload: Workload) -> str:
    """The row of gunid's other workload, which takes turns with this one."""
    return f"{OWN}, {workload.beside}"


class Comparison:
    def __init__(self, plan: Plan, peers: list[Peer], workloads: list[Workload], programs: Path):
        self.plan = plan
        self.peers = peers
        self.workloads = workloads
        self.programs = programs
        self.cpu, self.load_cpu = two_cpus()
        self.samples: dict[str, dict[str, list[Sample]]] = {}

    def run(self) -> None:
        os.sched_setaffinity(0, {self.load_cpu})
        with tempfile.TemporaryDirectory(prefix="gunid-bench-") as directory:
            file = Path(directory, "file")
            with open(file, "wb") as output:
                for _ in range(FILE_BYTES // 2**20):
                    output.write(os.urandom(2**20))
            for workload in self.workloads:
                print(f"{workload.name}: {workload.about}", file=sys.stderr)
                self.samples[workload.name] = self.measure(workload, Path(directory), file)

    def measure(self, workload: Workload, directory: Path, file: Path) -> dict[str, list[Sample]]:
        bare = [run_bare_loop(workload, 1, self.cpu)] if workload.bare_loop else []
        bare_us = bare[0].cpu_us if bare else 0.0
        wanted = [(peer.name, peer, workload) for peer in self.peers if not peer.lacks(workload)]
        if workload.beside and self.peers[0].name == OWN:
            wanted.insert(1, (beside(workload), self.peers[0], WORKLOADS_BY_NAME[workload.beside]))
        samples: dict[str, list[Sample]] = {name: [] for name, _, _ in wanted}
        with contextlib.ExitStack() as stack:
            runs = []
            for name, peer, loaded in wanted:
                server = stack.enter_context(self.start(peer, loaded, directory, file, bare_us))
                server.wait_ready()
                answer_bytes = check(server, loaded)
                stack.enter_context(idle_connections(server, loaded))
                run_wrk(server, loaded, 1, answer_bytes)  # warm
                runs.append((name, server, loaded, answer_bytes))
            for _ in range(self.plan.repetitions):
                for name, server, loaded, answer_bytes in runs:
                    samples[name].append(run_wrk(server, loaded, self.plan.seconds, answer_bytes))
                if workload.bare_loop:
                    samples.setdefault(BARE_LOOP, []).append(
                        run_bare_loop(workload, self.plan.seconds, self.cpu))
            for _, server, loaded, _ in runs:
                check(server, loaded)
        return samples

    def start(self, peer: Peer, workload: Workload, directory: Path, file: Path,
              bare_us: float) -> ServerProcess:
        own = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=directory))
        place = Place(free_port(), free_port(), own, self.programs, bare_us)
        cpus = {self.cpu} if workload.cpus == 1 else {self.cpu, self.load_cpu}
        return ServerProcess(peer.name, peer.command(workload, place), place.port, cpus,
                             {"BENCH_FILE": str(file)})


@dataclass(frozen=True)
class Row:
    """What all repetitions of one server on one workload come to."""

    workload: str
    server: str
    values: dict[str, float | None]  # medians, by measure
    ratios: dict[str, float | None]  # to gunid in the same repetition, medians, by measure


def median_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio_of(ours: float | None, theirs: float | None) -> float | None:
    return theirs / ours if ours and theirs is not None else None


def rows_of(samples: dict[str, dict[str, list[Sample]]]) -> list[Row]:
    rows = []
    for workload, servers in samples.items():
        gunid = servers.get("gunid", [])
        for server, repetitions in servers.items():
            values = {measure: median_of([getattr(sample, measure) for sample in repetitions])
                      for measure in MEASURES}
            ratios = {measure: median_of([ratio_of(getattr(ours, measure), getattr(theirs, measure))
                                          for ours, theirs in zip(gunid, repetitions)])
                      for measure in MEASURES}
            rows.append(Row(workload, server, values, ratios))
    return rows


COLUMNS = (("requests/s", "requests_per_s", "{:.0f}"), ("CPU us", "cpu_us", "{:.2f}"),
           ("p50 ms", "p50_ms", "{:.2f}"), ("p99 ms", "p99_ms", "{:.2f}"), ("MB", "memory_mb", "{:.0f}"))


def cell(form: str, value: float | None, ratio: float | None, is_gunid: bool) -> str:
    if value is None:
        return ""
    text = form.format(value)
    return text if is_gunid or ratio is None else f"{text} ({ratio:.2f})"


def comparison_table(rows: list[Row]) -> str:
    """Markdown; in brackets the ratio to gunid."""
    lines = ["| workload | server | " + " | ".join(title for title, _, _ in COLUMNS) + " |",
             "|---|---|" + "--:|" * len(COLUMNS)]
    before = None
    for row in rows:
        cells = [cell(form, row.values[measure], row.ratios[measure], row.server == "gunid")
                 for _, measure, form in COLUMNS]
        name = "" if row.workload == before else row.workload
        lines.append(f"| {name} | {row.server} | " + " | ".join(cells) + " |")
        before = row.workload
    return "\n".join(lines)


def statistics_cost_ns(programs: Path, cpu: int) -> float:
    """Of one request."""
    return float(output_of("taskset", "--cpu-list", cpu, programs / "statistics_cost"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {row.name:<10} {row.about}" for row in WORKLOADS)
        + "\n\nservers: " + ", ".join(peer.name for peer in PEERS))
    parser.add_argument("--servers", metavar="NAME,...", help="only these")
    parser.add_argument("--workloads", metavar="NAME,...", help="only these")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK.repetitions} repetitions of {QUICK.seconds} s instead of "
                             f"{FULL.repetitions} of {FULL.seconds} s")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", metavar="DIRECTORY",
                        help="for results.json, table.md and plot.svg (default: build/bench)")
    parser.add_argument("--bin-dir", type=Path, metavar="DIRECTORY",
                        help="of the programs (default: build/release/bin, then build/dev/bin)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    try:
        wrk.require()
        peers = chosen(arguments.servers, PEERS, "server")
        workloads = chosen(arguments.workloads, WORKLOADS, "workload")
        programs = find_bin_dir(arguments.bin_dir)
        plan = QUICK if arguments.quick else FULL
        started = time.monotonic()
        comparison = Comparison(plan, peers, workloads, programs)
        comparison.run()
        rows = rows_of(comparison.samples)
        figures = aims.figures({(row.workload, row.server): row for row in rows},
                               comparison.samples,
                               statistics_cost_ns(programs, comparison.cpu))
        document = {
            "machine": machine(), "versions": versions(peers, programs), "plan": asdict(plan),
            "seconds": time.monotonic() - started,
            "workloads": {workload.name: workload.about for workload in workloads},
            "rows": [asdict(row) for row in rows],
            "samples": {workload: {server: [asdict(sample) for sample in samples]
                                   for server, samples in servers.items()}
                        for workload, servers in comparison.samples.items()},
            "aims": [figure.document() for figure in figures],
        }
        arguments.output.mkdir(parents=True, exist_ok=True)
        text = comparison_table(rows)
        (arguments.output / "results.json").write_text(json.dumps(document, indent=2) + "\n")
        (arguments.output / "table.md").write_text(text + "\n")
        plot.draw(rows, arguments.output / "plot.svg")
    except (BenchmarkError, OSError, subprocess.SubprocessError) as error:
        print(f"tests/bench/run: {error}", file=sys.stderr)
        return 1
    print(f"{text}\n\n{table(figures)}\n\n{arguments.output}: results.json table.md plot.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
