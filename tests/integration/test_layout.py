"""Build and layout: what is built, from what, and that it runs where it is installed."""

import json
import platform
import re

import pytest

from programs import BUILD, GUNICTL, GUNID, GUNID_WORKER, ROOT, hosted, run, sanitized

PROGRAMS = [GUNID, GUNID_WORKER, GUNICTL]


def libraries(program) -> str:
    result = run("ldd", program)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_only_the_worker_program_has_to_do_with_python():
    assert "libpython" not in libraries(GUNID)
    assert "libpython" not in libraries(GUNICTL)
    if not hosted():
        assert "libpython" in libraries(GUNID_WORKER)


@pytest.mark.skipif(sanitized() or platform.machine() != "x86_64", reason="linked there")
def test_the_worker_runs_in_the_installed_python_unless_it_is_built_otherwise():
    assert hosted()


@pytest.mark.parametrize("name", ["CMakeLists.txt", "server", "ctl", "include/gunid", "tests",
                                  "deploy", "LICENSE", "CMakePresets.json", "cmake",
                                  ".clang-format", ".clang-tidy", ".ci/run"])
def test_top_level_has(name):
    assert (ROOT / name).exists()


def test_every_layer_is_a_folder():
    folders = {path.name for path in (ROOT / "server").iterdir() if path.is_dir()}
    assert folders == {"base", "config", "ipc", "http", "engine", "python", "supervisor", "control",
                       "zygote", "worker"}


def test_presets():
    result = run("cmake", "--list-presets", cwd=ROOT)
    assert set(re.findall(r'^ *"(\w+)"', result.stdout, re.M)) >= {"dev", "release", "asan", "tsan"}


def test_warnings_are_errors_in_our_code():
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    ours = [
        command
        for command in commands
        if command["file"].startswith((f"{ROOT}/server/", f"{ROOT}/ctl/"))
    ]
    assert len(ours) > 30
    for command in ours:
        assert {"-Wall", "-Wextra", "-Werror"} <= set(command["command"].split()), command["file"]


@pytest.mark.parametrize("program", [GUNID, GUNICTL], ids=lambda path: path.name)
def test_version(program):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    version = re.search(r"project\(gunid VERSION ([\d.]+)", cmake)[1]
    result = run(program, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{program.name} {version}\n"


def test_gunid_help_names_its_flags():
    result = run(GUNID, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "gunid [OPTIONS] MODULE[:CALLABLE]" in result.stdout
    for flag in ("-w", "--workers", "-b", "--bind", "--threads", "--preload", "--timeout",
                 "--max-requests", "--max-requests-jitter", "--control-socket"):
        assert re.search(rf"(^|[\s,]){flag}\b", result.stdout), flag


def test_gunictl_help_names_its_commands():
    result = run(GUNICTL, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    for command in ("status", "stats", "workers", "scale", "reload", "restart", "stop"):
        assert re.search(rf"^\s+{command}\b", result.stdout, re.M), command


def test_programs_run_from_where_they_are_installed(tmp_path, gunid):
    result = run("cmake", "--install", BUILD, "--prefix", tmp_path)
    assert result.returncode == 0, result.stderr
    installed = tmp_path / "bin"
    assert {path.name for path in installed.iterdir()} == {program.name for program in PROGRAMS}

    server = gunid("hello:app", "--workers", "2", program=installed / "gunid")
    assert server.get().text == "hello"
    assert {process.program.parent for process in server.processes()} == {installed}
    assert run(installed / "gunictl", "--socket", server.control_socket, "stop").returncode == 0
    assert server.wait_exit() == 0
