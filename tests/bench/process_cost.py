"""What processes cost, in the kernel's own account: CPU time and memory."""

import time
from pathlib import Path

from environment import BenchmarkError


def cpu_seconds(pid: int) -> float:
    """User and system time of a process: of all its threads, also those that have ended, in nanoseconds.

    /proc/PID/stat counts in ticks of 10 ms, and /proc/PID/schedstat the first thread alone."""
    try:
        return time.clock_gettime_ns(cpu_clock(pid)) / 1e9
    except OSError:
        raise BenchmarkError(f"process {pid} has ended while it was measured") from None


def cpu_clock(pid: int) -> int:
    """The CPU-time clock of another process, made as clock_getcpuclockid(3) does."""
    return ~pid << 3 | 2


def pss_bytes(pid: int) -> int:
    """Memory of a process; a page that N processes share counts as 1/N."""
    return pss_of(Path(f"/proc/{pid}/smaps_rollup").read_text())


def pss_of(rollup: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines()
                if line.startswith("Pss:"))


def session_pids(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
