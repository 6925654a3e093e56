"""Replacing the running program: gunictl upgrade and SIGUSR2, and all that may be wrong with a new one."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from load_generator import LOST, LoadGenerator
from processes import Process
from programs import APPS, GUNICTL, GUNID, GUNID_WORKER
from server import Server
from waiting import wait_until


class Releases:
    """Copies of the programs in directories of their own; `current` is a link to one of them."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.current = directory / "current"

    def add(self, name: str) -> Path:
        release = self.directory / name
        release.mkdir()
        shutil.copy(GUNID, release / "gunid")
        shutil.copy(GUNID_WORKER, release / "gunid-worker")
        return release

    def choose(self, name: str) -> None:
        link = self.directory / "link"
        link.symlink_to(name)
        link.rename(self.current)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = Releases(tmp_path)
    made.add("old")
    made.add("new")
    made.choose("old")
    return made


@pytest.fixture
def serve(gunid, releases: Releases):
    def start(*arguments: object, app: str = "numbered:app", **options) -> Server:
        return gunid(app, "--reload-settle", "0.1", *arguments, program=releases.current / "gunid", **options)

    return start


def program_of(pid: int) -> Path:
    return Process(pid).program


def programs(server: Server) -> set[str]:
    """The releases that the supervisor and its workers run."""
    return {program_of(pid).parent.name for pid in (server.pid, *server.worker_pids())}


def open_descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def script(path: Path, *lines: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)


def assert_serves(server: Server) -> None:
    assert server.get("/?number=7").status == 200
    assert server.status()["state"] == "serving"


def failed_upgrade(server: Server, reason: str) -> str:
    """Asks for an upgrade that fails and leaves all as it was; returns what gunictl says."""
    pids = server.worker_pids()
    result = server.gunictl("upgrade")
    assert result.returncode == 1, result
    assert "gunictl: upgrade: " in result.stderr
    assert reason in result.stderr, result.stderr
    assert programs(server) == {"old"}
    assert server.status()["last_error"] != ""
    assert server.worker_pids() == pids
    assert_serves(server)
    return result.stderr


def upgrade(server: Server) -> str:
    result = server.gunictl("upgrade")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_upgrade_keeps_pid_sockets_and_memory(serve, releases, tmp_path):
    pid_file = tmp_path / "pid"
    server = serve("-w", "2", "--pid", pid_file)
    assert server.gunictl("scale", "3").returncode == 0
    for number in range(5):
        server.get(f"/?number={number}")
    before = server.status()
    events = server.read("/v1/events")["events"]
    assert programs(server) == {"old"}

    releases.choose("new")
    message = upgrade(server)
    assert "has taken over from" in message
    assert "generation 2 serves, 3 workers are ready" in message
    assert programs(server) == {"new"}
    assert_serves(server)

    after = server.status()
    for same in ("pid", "name", "app", "started_at", "control_socket", "workers_wanted"):
        assert after[same] == before[same], same
    assert [each["address"] for each in after["listeners"]] == [
        each["address"] for each in before["listeners"]
    ]
    assert server.stats()["totals"]["requests"] >= 6
    assert server.stats()["totals"]["stops"]["reload"] == 3
    assert server.read("/v1/events")["events"][: len(events)] == events
    assert any(event["type"] == "upgraded" for event in server.read("/v1/events")["events"])
    assert int(pid_file.read_text()) == server.pid

    # And all that a server can do.
    assert server.gunictl("scale", "1").returncode == 0
    assert server.gunictl("reload").returncode == 0
    os.kill(next(iter(server.worker_pids())), signal.SIGKILL)
    server.wait_ready()
    control = server.control_socket
    assert server.stop() == 0
    assert not pid_file.exists()
    assert not control.exists()


def test_nothing_is_lost_and_nothing_leaks(serve, releases, tmp_path):
    server = serve("-w", "2", "--threads", "2", bind=("127.0.0.1:0", f"unix:{tmp_path}/s"))
    most = 0
    with LoadGenerator(server.url.removeprefix("http://"), kept=4, closing=4) as load:
        for name in ("new", "old", "new", "old"):
            releases.choose(name)
            upgrade(server)
            assert programs(server) == {name}
            if not most:  # the first upgrade keeps a generation for a rollback
                wait_until(lambda: len(server.workers()) == 2, "the old workers to go")
                most = open_descriptors(server)
            # Old workers, and a command that has just been answered, have some for a moment.
            wait_until(lambda: open_descriptors(server) <= most, "what was left to be closed")
        result = load.end()
    assert not any(result["counts"].get(how) for how in LOST), result
    assert result["counts"]["answered"] > 20
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait() == 0
    assert not (tmp_path / "s").exists()


def test_sigusr2_upgrades_and_a_rollback_returns_to_the_old_workers(serve, releases):
    server = serve("-w", "1", "--preload")
    releases.choose("new")
    server.process.send_signal(signal.SIGUSR2)
    server.log.wait_for("has taken over from")
    assert programs(server) == {"new"}
    result = server.gunictl("rollback")
    assert result.returncode == 0, result
    assert program_of(server.pid).parent.name == "new"
    assert {program_of(pid).parent.name for pid in server.worker_pids()} == {"old"}
    assert_serves(server)


def test_requests_of_old_workers_are_watched_by_the_new_program(serve, releases, pool):
    server = serve("-w", "1", "--timeout", "3", app="hanging:app")
    answer = pool.submit(server.get, "/sleep")
    server.wait_in_flight(1)
    assert server.gunictl("upgrade", "--no-wait").returncode == 0
    assert json.loads(server.gunictl("--json", "job", "1").stdout)["operation"] == "upgrade"
    server.log.wait_for("has taken over from")
    assert answer.result().status in (500, 504)
    assert server.stats()["totals"]["timeouts"] == 1
    assert json.loads(server.gunictl("--json", "job", "1").stdout)["state"] == "done"


def test_children_that_die_meanwhile_are_seen(serve, releases):
    server = serve("-w", "2")
    victim = min(server.worker_pids())
    upgrade_job = server.gunictl("upgrade", "--no-wait")
    assert upgrade_job.returncode == 0
    os.kill(victim, signal.SIGKILL)
    server.log.wait_for("has taken over from")
    server.log.wait_for(rf"Worker \(pid:{victim}\) was killed by SIGKILL")
    server.wait_ready(2)


def test_a_follower_of_events_notices_nothing(serve, releases):
    server = serve("-w", "1")
    follower = subprocess.Popen(
        [GUNICTL, "-s", server.control_socket, "events", "--follow"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        upgrade(server)
        for line in follower.stdout:
            if "upgraded" in line:
                break
        else:
            pytest.fail("the follower has lost the server")
    finally:
        follower.kill()
        follower.wait()


# New programs that must not get to be the supervisor.


def test_a_program_that_is_not_there(serve, releases):
    server = serve("-w", "1")
    (releases.directory / "new" / "gunid").unlink()
    releases.choose("new")
    assert "No such file" in failed_upgrade(server, "cannot take over")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("echo missing library >&2", "exit 127"), "it exited with code 127\nmissing library"),
        (("kill -SEGV $$",), "it was killed by SIGSEGV"),
        (("exit 0",), "it is no gunid that can take over"),
    ],
    ids=["fails", "crashes", "another program"],
)
def test_a_program_that_cannot_take_over(serve, releases, lines, reason):
    server = serve("-w", "2")
    script(releases.directory / "new" / "gunid", *lines)
    releases.choose("new")
    failed_upgrade(server, reason)
    assert any(event["type"] == "upgrade_failed" for event in server.read("/v1/events")["events"])

    # And when it was mended:
    shutil.copy(GUNID, releases.directory / "new" / "gunid")
    upgrade(server)
    assert programs(server) == {"new"}


def test_a_file_that_is_no_program(serve, releases):
    server = serve("-w", "1")
    (releases.directory / "new" / "gunid").write_bytes(GUNID.read_bytes()[:5000])
    releases.choose("new")
    failed_upgrade(server, "cannot take over")


def test_without_its_workers_program(serve, releases):
    server = serve("-w", "1")
    (releases.directory / "new" / "gunid-worker").unlink()
    releases.choose("new")
    assert "gunid-worker: No such file" in failed_upgrade(server, "cannot take over")


def test_workers_that_cannot_start_bring_the_old_program_back(serve, releases):
    server = serve("-w", "2")
    script(releases.directory / "new" / "gunid-worker", "echo no libpython >&2", "exit 127")
    releases.choose("new")
    pids = server.worker_pids()
    failed_upgrade(server, "exited with code 127")
    assert server.worker_pids() == pids
    assert server.log.matches("comes back: the zygote")
    # The old program has its own workers, whatever is installed.
    assert server.gunictl("reload").returncode == 0
    assert programs(server) == {"old"}


def test_code_that_cannot_be_imported_brings_the_old_program_back(gunid, releases, project):
    server = gunid("site_app:app", "-w", "2", cwd=project.directory,
                   program=releases.current / "gunid")
    releases.choose("new")
    project.write("import does_not_exist\n")
    pids = server.worker_pids()
    result = server.gunictl("upgrade")
    assert result.returncode == 1
    assert "does_not_exist" in result.stderr and "Traceback" in result.stderr
    assert programs(server) == {"old"}
    assert server.worker_pids() == pids
    assert server.get().text == "one"


def test_a_program_that_fails_after_its_rehearsal_gives_way(serve, releases):
    """It takes over, and finds that it cannot."""
    server = serve("-w", "1")
    release = releases.directory / "new"
    (release / "gunid").rename(release / "real")
    script(
        release / "gunid",
        f'if [ "$1" != --rehearse-upgrade ]; then rm {release}/gunid-worker; fi',
        f'exec {release}/real "$@"',
    )
    releases.choose("new")
    failed_upgrade(server, "gunid-worker: No such file")


def test_an_old_file_under_the_same_name_is_still_the_way_back(serve, releases):
    """A package manager replaces files: the running program is not at its path any more."""
    server = serve("-w", "1")
    for name in ("gunid", "gunid-worker"):
        (releases.directory / "old" / name).unlink()
        shutil.copy({"gunid": GUNID, "gunid-worker": GUNID_WORKER}[name],
                    releases.directory / "old" / name)
    script(releases.directory / "old" / "gunid-worker", "exit 1")
    assert server.gunictl("reload").returncode == 0, "workers of the running version"
    result = server.gunictl("upgrade")
    assert result.returncode == 1
    assert "(deleted)" in str(program_of(server.pid))
    assert server.gunictl("reload").returncode == 0
    assert_serves(server)
    assert Path(f"/proc/{server.pid}/comm").read_text() == "gunid\n"
    names = {Path(f"/proc/{pid}/comm").read_text() for pid in server.worker_pids()}
    assert names == {"gunid-worker\n"}


def test_a_relative_name_is_meant_from_where_gunid_was_started(gunid, releases):
    server = gunid(
        "numbered:app", "--reload-settle", "0.1", "--chdir", APPS,
        program="./current/gunid", cwd=releases.directory,
    )
    releases.add("newest")
    for name in ("new", "newest"):
        releases.choose(name)
        upgrade(server)
        assert programs(server) == {name}
        assert_serves(server)


def test_an_upgrade_waits_for_its_turn(serve, releases):
    server = serve("-w", "1", "--reload-settle", "30")
    assert server.gunictl("reload", "--no-wait").returncode == 0
    result = server.gunictl("upgrade")
    assert result.returncode == 1
    assert "a reload is under way" in result.stderr


def test_stop_during_an_upgrade(serve, releases):
    server = serve("-w", "1")
    script(releases.directory / "new" / "gunid", "sleep 600")
    releases.choose("new")
    assert server.gunictl("upgrade", "--no-wait").returncode == 0
    wait_until(lambda: server.status()["state"] == "upgrading", "the rehearsal")
    assert server.gunictl("reload").returncode == 1
    assert server.stop() == 0


def test_the_option_is_not_for_people(releases):
    result = subprocess.run([GUNID, "--rehearse-upgrade", "numbered:app"], capture_output=True,
                            text=True, cwd=APPS)
    assert result.returncode == 2
    assert "gunid" in result.stderr
