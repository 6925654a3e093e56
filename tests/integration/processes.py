"""Processes as /proc shows them."""

import os
from dataclasses import dataclass
from pathlib import Path

MARKER = "GUNID_TEST_SERVER"


@dataclass(frozen=True)
class Process:
    pid: int

    def read(self, name: str) -> bytes:
        """A file of /proc/PID, or nothing if the process is gone."""
        try:
            return Path(f"/proc/{self.pid}/{name}").read_bytes()
        except OSError:
            return b""

    @property
    def stat(self) -> list[str]:
        """The fields of /proc/PID/stat that follow the command's name: state, parent, group, ..."""
        return self.read("stat").decode(errors="replace").rpartition(")")[2].split()

    @property
    def state(self) -> str:
        """R, S, D, Z, ... or "" if there is no such process."""
        return (self.stat or [""])[0]

    @property
    def is_alive(self) -> bool:
        return self.state not in ("", "Z", "X")

    @property
    def parent(self) -> int:
        return int((self.stat or ["", "0"])[1])

    def memory(self, field: str, file: str = "status") -> int:
        """Bytes, from a file with lines as "VmHWM:  1234 kB"."""
        for line in self.read(file).decode().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise ValueError(f"/proc/{self.pid}/{file} has no {field}")

    def has_open(self, path: Path) -> bool:
        """Whether one of its descriptors is of that file; False also where it just closes some."""
        try:
            entries = Path(f"/proc/{self.pid}/fd").iterdir()
            return str(path) in [os.readlink(entry) for entry in entries]
        except FileNotFoundError:
            return False

    @property
    def exe(self) -> Path:
        return Path(os.readlink(f"/proc/{self.pid}/exe"))

    @property
    def mapped_files(self) -> set[Path]:
        lines = self.read("maps").decode().splitlines()
        return {Path(fields[5]) for fields in (line.split(maxsplit=5) for line in lines)
                if len(fields) == 6 and fields[5].startswith("/")}

    @property
    def program(self) -> Path:
        """What of gunid runs there: workers may be in a python program."""
        return next((path for path in self.mapped_files if path.name.startswith("gunid-worker")), self.exe)


def all_processes() -> list[Process]:
    return [Process(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()]


def children(pid: int) -> set[Process]:
    return {process for process in all_processes() if process.parent == pid}


def marked(value: str) -> set[Process]:
    """The living processes that inherited MARKER=value: everything that one test server started."""
    entry = f"{MARKER}={value}".encode()
    return {
        process for process in all_processes() if entry in process.read("environ").split(b"\0")
    }
