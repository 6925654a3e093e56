"""What a figure is worth nothing without: machine, date and versions."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from environment import ROOT
from peers import PYTHON, Peer


def output_of(*command: object) -> str:
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.stdout.strip()


def machine() -> dict[str, object]:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    system = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.M)
    return {"processor": model[1] if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "system": system[1] if system else "",
            "date": datetime.date.today().isoformat()}


def versions(peers: list[Peer], programs: Path) -> dict[str, str]:
    found = {"gunid": output_of(programs / "gunid", "--version"),
             "commit": output_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD"),
             "Python": output_of(PYTHON, "--version")}
    for peer in peers:
        if peer.version:
            found[peer.name] = output_of(*peer.version).splitlines()[-1]
    return found


def line(machine: dict[str, object], versions: dict[str, str]) -> str:
    """Both, below a table."""
    return (f"{machine['processor']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, "
            f"{machine['system']}; "
            + ", ".join(version if name in version else f"{name} {version}"
                        for name, version in versions.items())
            + f"; {machine['date']}")
