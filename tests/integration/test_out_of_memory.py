"""Who killed a worker: the kernel, for want of memory, or somebody by hand."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from waiting import wait_until

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")
LIMIT = 150_000_000  # bytes

HUNGRY = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/eat":
        return [bytes(bytearray(b"x") * 1_000_000_000)]
    return [b"fed"]
"""


def own_cgroup() -> Path:
    """The memory cgroup of this process."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return V1 / path.lstrip("/")
    return V2 / path.lstrip("/")


@contextmanager
def small_cgroup():
    """What is started in the block has little memory."""
    parent = own_cgroup()
    is_v1 = V1 in (parent, *parent.parents)
    child = (V1 if is_v1 else parent) / f"gunid-test-{uuid4().hex}"
    try:
        child.mkdir()
        limit = child / ("memory.limit_in_bytes" if is_v1 else "memory.max")
        limit.write_text(str(LIMIT))
        (child / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        if child.is_dir():
            child.rmdir()
        pytest.skip(f"no memory cgroup can be made: {error}")
    try:
        yield child
    finally:
        (parent / "cgroup.procs").write_text(str(os.getpid()))


def test_a_worker_that_the_kernel_kills_and_one_that_is_killed_by_hand(gunid, tmp_path):
    (tmp_path / "hungry.py").write_text(HUNGRY)
    with small_cgroup() as cgroup:
        server = gunid("hungry:app", "--timeout", "60", cwd=tmp_path)
    try:
        pid = server.worker_pids().pop()
        with pytest.raises(OSError):
            server.get("/eat")
        line = server.log.wait_for(r"\(pid:(\d+)\) was killed by SIGKILL.*; reason: oom")
        assert int(line[1]) == pid
        assert server.wait_ready().get().text == "fed"

        pid = server.worker_pids().pop()
        os.kill(pid, signal.SIGKILL)
        server.log.wait_for(rf"\(pid:{pid}\) was killed by SIGKILL; reason: operator")
        assert server.wait_ready().get().text == "fed"
    finally:
        server.close()
        wait_until(lambda: (cgroup / "cgroup.procs").read_text() == "", "the cgroup to be empty")
        cgroup.rmdir()
