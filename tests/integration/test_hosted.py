"""gunid-worker runs in the python program that is installed (server/python/start_in_python.c)."""

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from processes import Process
from programs import GUNID, GUNID_WORKER, environment, hosted, run

pytestmark = pytest.mark.skipif(not hosted(), reason="gunid-worker links libpython")

APPLICATION = """
import os, subprocess
def app(environ, start_response):
    child = subprocess.run(["printenv", "LD_PRELOAD"], stdout=subprocess.PIPE, text=True)
    with open("/proc/self/environ") as own:
        started_with = [name for name in own.read().split("\\0") if name.startswith("LD_")]
    files = sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{fd}"))
    start_response("200 OK", [])
    return [repr((os.environ.get("LD_PRELOAD"), child.stdout, started_with, files)).encode()]
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site_app.py").write_text(APPLICATION)
    return tmp_path


def python_program() -> str:
    """The path that is in gunid-worker."""
    return re.search(rb"cannot run (/[^,]*),", GUNID_WORKER.read_bytes())[1].decode()


def test_workers_and_zygote_run_in_the_python_program(gunid):
    server = gunid("hello:app")
    others = {process for process in server.processes() if process.pid != server.pid}
    assert len(others) == 2
    for process in others:
        assert process.exe == Path(python_program())
        assert not [path for path in process.mapped_files if path.name.startswith("libpython")]
        assert process.read("comm") == b"gunid-worker\n"
        assert process.read("cmdline") == f"{GUNID_WORKER.resolve()}\0--zygote\0".encode()


def test_the_application_sees_nothing_of_it(gunid, site):
    server = gunid("site_app:app", cwd=site)
    preloaded, childs, started_with, files = eval(server.get().text)
    assert preloaded is None
    assert childs == ""
    assert started_with == []
    assert str(GUNID_WORKER.resolve()) not in files


@pytest.mark.parametrize("libraries", ["libbz2.so.1.0", "libbz2.so.1.0:libm.so.6"])
def test_libraries_that_the_operator_preloads_stay(gunid, site, libraries):
    server = gunid("site_app:app", cwd=site, env=environment(LD_PRELOAD=libraries))
    preloaded, childs, started_with, _ = eval(server.get().text)
    assert preloaded == libraries
    assert childs == f"{libraries}\n"
    assert started_with == [f"LD_PRELOAD={libraries}"]
    worker = Process(next(iter(server.worker_pids())))
    assert [path for path in worker.mapped_files if path.name.startswith("libbz2.so")]


def test_run_by_hand_it_says_what_it_is():
    for arguments in ([], ["--help"], ["-c", "print(1)"]):
        result = run(GUNID_WORKER, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == "gunid-worker: is started by gunid; run gunid instead\n"


def test_it_shows_no_symbols_to_extension_modules():
    result = run("nm", "--dynamic", "--defined-only", GUNID_WORKER)
    assert result.returncode == 0, result.stderr
    assert re.findall(r" (\S+)$", result.stdout, re.M) == ["__libc_start_main"]


def test_few_open_files_are_enough():
    result = run("sh", "-c", f"ulimit -n 64; exec {GUNID_WORKER}")
    assert result.stderr == "gunid-worker: is started by gunid; run gunid instead\n"


def changed_programs(directory, old: bytes, new: bytes):
    """Copies of the programs, with something else in gunid-worker."""
    assert len(old) == len(new)
    content = GUNID_WORKER.read_bytes()
    assert old in content
    (directory / "gunid").write_bytes(GUNID.read_bytes())
    (directory / "gunid-worker").write_bytes(content.replace(old, new))
    for name in ("gunid", "gunid-worker"):
        (directory / name).chmod(0o755)
    return directory / "gunid"


def start(program, directory):
    return run(program, "--bind", "127.0.0.1:0", "--control-socket", directory / "control", "hello:app")


def test_a_python_that_is_not_there(tmp_path):
    path = python_program().encode()
    missing = path[:-1] + b"x"
    result = start(changed_programs(tmp_path, path, missing), tmp_path)
    assert result.returncode == 3
    assert (f"gunid-worker: cannot run {missing.decode()}, the Python that gunid was built for "
            f"(error {errno.ENOENT})\n" in result.stderr)
    assert "exited with code 126" in result.stderr


def test_a_python_of_another_version(tmp_path):
    own = "{}.{}.".format(*sys.version_info).encode()
    other = own[:-2] + (b"0." if own[-2:-1] != b"0" else b"1.")
    result = start(changed_programs(tmp_path, b"\0" + own + b"\0", b"\0" + other + b"\0"), tmp_path)
    assert result.returncode == 3
    assert re.search(rf"gunid-worker: {python_program()} is Python {own.decode()}\d+.*, and gunid was "
                     rf"built for", result.stderr)


@pytest.fixture
def open_directory():
    """Other users may go there, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="gunid-test-") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.fixture
def python_with_capabilities():
    """A copy of the program, at a path as long."""
    copy = Path("/tmp") / ("python" * len(python_program()))[:len(python_program()) - len("/tmp/")]
    shutil.copy(python_program(), copy)
    subprocess.run(["setcap", "cap_net_bind_service=+ep", copy], check=True)
    yield copy
    copy.unlink()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setcap") is None, reason="needs root and setcap")
def test_a_python_with_file_capabilities(open_directory, python_with_capabilities):
    changed_programs(open_directory, python_program().encode(), str(python_with_capabilities).encode())
    result = run(open_directory / "gunid-worker", "--zygote", preexec_fn=lambda: os.setuid(65534))
    assert result.returncode == 126
    assert result.stderr == (
        f"gunid-worker: {python_with_capabilities} has file capabilities, so that it cannot run gunid: "
        "take them away (setcap -r), or build gunid with -DGUNID_HOSTED=OFF\n")
    as_root = run(open_directory / "gunid-worker")
    assert as_root.stderr == "gunid-worker: is started by gunid; run gunid instead\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_worker_program_that_cannot_be_read(open_directory):
    changed_programs(open_directory, b"", b"")
    (open_directory / "gunid-worker").chmod(0o711)
    result = run(open_directory / "gunid-worker", preexec_fn=lambda: os.setuid(65534))
    assert result.returncode == 126
    assert result.stderr == ("gunid-worker: cannot open /proc/self/exe: gunid-worker must be readable, and "
                             f"/proc mounted (error {errno.EACCES})\n")
