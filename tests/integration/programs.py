"""Where the programs, the applications and the build are, and how to run a program to its end."""

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "apps"
BIN = Path(os.environ.get("GUNID_BIN_DIR", ROOT / "build" / "dev" / "bin"))
BUILD = BIN.parent
GUNID = BIN / "gunid"
GUNID_WORKER = BIN / "gunid-worker"
GUNICTL = BIN / "gunictl"

# Long enough for a sanitizer build on a busy machine; what works is never waited for that long.
TIMEOUT = 40.0

# Variables that would change what gunid does, whoever runs the tests.
SETTINGS_VARIABLES = ("FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "LISTEN_FDNAMES", "LISTEN_FDS",
                      "LISTEN_PID", "NOTIFY_SOCKET", "PORT", "SENDFILE", "VIRTUAL_ENV",
                      "WATCHDOG_PID", "WATCHDOG_USEC", "WEB_CONCURRENCY")


@functools.cache
def sanitized() -> bool:
    """Whether the programs were built with a sanitizer: they are slower then, and larger."""
    program = GUNID_WORKER.read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


@functools.cache
def hosted() -> bool:
    """Whether gunid-worker runs in the installed python program (GUNID_HOSTED) or links libpython."""
    return b"LD_PRELOAD=" in GUNID_WORKER.read_bytes()


def environment(**variables: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key not in SETTINGS_VARIABLES}
    return clean | {"PYTHONDONTWRITEBYTECODE": "1"} | variables


def run(*command: object, timeout: float = TIMEOUT, **options) -> subprocess.CompletedProcess:
    """Runs a program to its end; output is text."""
    options.setdefault("env", environment())
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        **options,
    )


def gunictl(*arguments: object, **options) -> subprocess.CompletedProcess:
    return run(GUNICTL, *arguments, **options)
