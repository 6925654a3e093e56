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

    @property
    def exe(self) -> Path:
        return Path(os.readlink(f"/proc/{self.pid}/exe"))


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
