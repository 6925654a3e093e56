"""Load by wrk, which must be answered without an error."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

from environment import HERE, BenchmarkError

PATIENCE_S = 20


@dataclass(frozen=True)
class Report:
    requests: int
    bytes: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def require() -> None:
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is missing: apt-get install wrk")


def run(url: str, seconds: int, connections: int, headers: dict[str, str] | None = None,
        pipelined: int = 1, upload_bytes: int = 0) -> Report:
    """Keep-alive requests over that many connections; `pipelined` of them at a time on each."""
    command = ["wrk", "--threads", "1", "--connections", connections, "--duration", f"{seconds}s",
               "--timeout", f"{PATIENCE_S}s", "--script", HERE / "report.lua"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    command += [url, "--", pipelined, upload_bytes]
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=seconds + 2 * PATIENCE_S)
    if result.returncode != 0:
        raise BenchmarkError(f"wrk exited with {result.returncode}: {result.stdout.strip()}")
    return parse(result.stdout)


def parse(output: str) -> Report:
    """What report.lua wrote."""
    line = re.search(r"^report (.*)$", output, re.M)
    if not line:
        raise BenchmarkError(f"wrk reports nothing: {output.strip()}")
    found = json.loads(line[1])
    errors = {kind: found[kind] for kind in ("connect", "read", "write", "status", "timeout")
              if found[kind]}
    if errors or found["requests"] == 0:
        raise BenchmarkError(f"wrk: {found['requests']} requests, errors: {errors or 'none'}")
    return Report(found["requests"], found["bytes"], found["duration_us"] / 1e6,
                  found["p50_us"] / 1e3, found["p99_us"] / 1e3)
