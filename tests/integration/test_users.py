"""--user, --group and --initgroups: root supervises, and the application is never root."""

import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from processes import Process, children
from programs import APPS, GUNID, TIMEOUT, run
from server import UnixConnection, exchange
from waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOBODY = pwd.getpwnam("nobody")
OWN_GROUP = {"uids": [NOBODY.pw_uid] * 3, "gids": [NOBODY.pw_gid] * 3, "groups": [NOBODY.pw_gid]}


@pytest.fixture
def directory() -> Iterator[Path]:
    """That everybody may read, unlike pytest's, and only root may write."""
    path = Path(tempfile.mkdtemp(prefix="gunid-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def identity(server) -> dict:
    seen = server.get("/identity").json()
    return {key: seen[key] for key in OWN_GROUP}


def uids(pid: int) -> list[int]:
    line = re.search(r"^Uid:(.*)$", Process(pid).read("status").decode(), re.M)
    return [int(uid) for uid in line[1].split()]


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_the_application_is_the_user_and_the_supervisor_root(gunid, preload):
    server = gunid("processes_probe:app", "--user", "nobody", *preload)
    assert identity(server) == OWN_GROUP
    assert server.get("/identity").json()["can_read_own_environment"]
    assert uids(server.pid) == [0] * 4
    below = children(server.pid)
    assert len(below) == 2  # zygote and worker
    for process in below:
        assert uids(process.pid) == [NOBODY.pw_uid] * 4
        assert b"\nCapEff:\t0000000000000000\n" in process.read("status")


def test_group_and_numbers(gunid):
    server = gunid("processes_probe:app", "-u", "54321", "-g", "54322")
    assert identity(server) == {"uids": [54321] * 3, "gids": [54322] * 3, "groups": [54322]}


def test_only_a_group(gunid):
    server = gunid("processes_probe:app", "--group", str(NOBODY.pw_gid))
    seen = identity(server)
    assert (seen["uids"], seen["groups"]) == ([0] * 3, [NOBODY.pw_gid])


def test_initgroups_gives_the_groups_of_the_user(gunid):
    name = "www-data"
    own = pwd.getpwnam(name).pw_gid
    server = gunid("processes_probe:app", "--user", name, "--initgroups")
    assert identity(server)["groups"] == sorted(set(os.getgrouplist(name, own)))


def test_user_of_the_configuration_file_also_after_a_reload(gunid, directory):
    config = directory / "conf.py"
    config.write_text("import os\nuser = 'nobody'\nraw_env = [f'READ_BY={os.getuid()}']\n")
    server = gunid("processes_probe:app", "-c", config)
    assert identity(server) == OWN_GROUP
    config.write_text("user = '54321'\ngroup = '54322'\n")
    assert server.gunictl("reload").returncode == 0
    assert identity(server)["uids"] == [54321] * 3


def test_configuration_is_read_as_the_user_of_the_command_line(gunid, directory):
    config = directory / "conf.py"
    config.write_text("import os\nraise SystemExit(f'uid is {os.geteuid()}')\n")
    start = run(GUNID, "processes_probe:app", "-c", config, "-u", "nobody", "--bind", "127.0.0.1:0",
                "--control-socket", directory / "control.sock", cwd=APPS)
    assert f"uid is {NOBODY.pw_uid}" in start.stderr, start.stderr
    assert start.returncode == 1


def test_group_of_the_file_with_the_user_of_the_command_line(directory):
    config = directory / "conf.py"
    config.write_text("group = '54322'\n")
    start = run(GUNID, "processes_probe:app", "-c", config, "-u", "nobody", "--bind", "127.0.0.1:0",
                "--control-socket", directory / "control.sock", cwd=APPS)
    assert start.returncode == 1
    assert "user, group and initgroups belong together" in start.stderr


@pytest.mark.parametrize("arguments, message", [
    (("--user", "no-such-user"), "there is no user 'no-such-user'"),
    (("--group", "no-such-group"), "there is no group 'no-such-group'"),
    (("--user", "54321"), "so a group is needed"),
])
def test_unknown_names(arguments, message, directory):
    start = run(GUNID, "processes_probe:app", *arguments, "--bind", "127.0.0.1:0",
                "--control-socket", directory / "control.sock", cwd=APPS)
    assert start.returncode == 1
    lines = start.stderr.splitlines()
    assert len(lines) == 1 and message in lines[0], start.stderr


def test_only_root_can_become_another():
    start = run(GUNID, "processes_probe:app", "--user", "www-data", "--bind", "127.0.0.1:0",
                cwd=APPS, user="nobody", group=NOBODY.pw_gid, extra_groups=[])
    assert start.returncode == 1
    lines = start.stderr.splitlines()
    assert len(lines) == 1 and "gunid was not started as root" in lines[0], start.stderr


def test_unix_listeners_belong_to_the_user_and_the_control_socket_to_root(gunid, directory):
    path = directory / "web.sock"
    server = gunid("processes_probe:app", "--user", "nobody", "--umask", "007",
                   bind=(f"unix:{path}",))
    made = path.stat()
    assert (made.st_uid, made.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert stat.S_IMODE(made.st_mode) == 0o770
    assert server.control_socket.stat().st_uid == 0
    connection = UnixConnection(str(path))
    assert exchange(connection, "GET", "/identity").status == 200
    connection.close()
    assert server.stop() == 0
    assert not path.exists()


def test_log_file_is_made_by_root_and_written_by_workers(gunid, directory):
    """Also after a rotation, in a directory where the user cannot make files."""
    log, old = directory / "error.log", directory / "error.log.1"
    server = gunid("hello:app", "--user", "nobody", "--error-logfile", log)
    assert log.stat().st_uid == NOBODY.pw_uid
    wait_until(lambda: "Booting worker with pid: " in log.read_text(), "the worker's line")
    log.rename(old)
    first = server.worker_pids()
    assert server.gunictl("restart").returncode == 0  # while there is no file of that name
    assert not server.worker_pids() & first
    server.signal(signal.SIGUSR1)
    wait_until(log.exists, "the log file to be made anew")
    (pid,) = server.worker_pids()
    wait_until(lambda: Process(pid).has_open(log), "the worker to write to it")
    assert log.stat().st_uid == NOBODY.pw_uid


def test_log_file_behind_a_link_is_not_given_away(gunid, directory):
    """The user may be able to put a link in the place of the log: root must not fall for it."""
    precious = directory / "precious"
    precious.write_text("")
    precious.chmod(0o666)
    (directory / "error.log").symlink_to(precious)
    gunid("hello:app", "--user", "nobody", "--error-logfile", directory / "error.log")
    assert precious.stat().st_uid == 0


def test_stacks_deadlines_and_figures_of_the_users_workers(gunid, pool):
    server = gunid("blocking:app", "--user", "nobody", "--timeout", "3")
    request = pool.submit(server.get, "/spin")
    server.wait_in_flight(1)
    (worker,) = server.workers()
    stack = server.gunictl("stack", worker["id"])
    assert stack.returncode == 0 and "spin_for_ever" in stack.stdout, stack.stdout + stack.stderr
    assert worker["rss_bytes"] > 0
    assert request.result(TIMEOUT).status == 504


def test_workers_of_the_user_end_with_the_supervisor(gunid):
    server = gunid("hello:app", "--user", "nobody")
    server.signal(signal.SIGKILL)
    server.wait_exit()
    server.wait_gone()
