"""Where a benchmark runs: the programs, two CPUs, free ports; and the error that ends it."""

import os
import socket
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ("gunid", "gunid-worker")
# Variables that would change what is measured.
SETTINGS_VARIABLES = ("FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "PORT", "SENDFILE", "VIRTUAL_ENV",
                      "WEB_CONCURRENCY")


class BenchmarkError(Exception):
    """One line that says why there are no figures."""


def find_bin_dir(given: Path | None) -> Path:
    """The directory of the programs: the given one, else the release build, else the dev build."""
    candidates = [given] if given else [ROOT / "build" / preset / "bin"
                                        for preset in ("release", "dev")]
    for directory in candidates:
        if all(os.access(directory / program, os.X_OK) for program in PROGRAMS):
            return directory.resolve()
    names = " or ".join(str(directory) for directory in candidates)
    raise BenchmarkError(f"no {' and '.join(PROGRAMS)} in {names}: "
                         "cmake --preset release && cmake --build --preset release")


def two_cpus() -> tuple[int, int]:
    """One for the server, one for the load."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise BenchmarkError("a benchmark needs two CPUs: one for the server, one for the load")
    return cpus[0], cpus[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def chosen(given: str | None, rows: tuple, what: str) -> list:
    """The rows with these names, separated by commas; all if none are given."""
    if given is None:
        return list(rows)
    by_name = {row.name: row for row in rows}
    names = given.split(",")
    for name in names:
        if name not in by_name:
            raise BenchmarkError(f"there is no {what} {name!r}: {', '.join(by_name)}")
    return [by_name[name] for name in names]
