"""The architecture of DESIGN.md, proved from the #include lines and CMake's link lists."""

import functools
import re
from pathlib import Path

import pytest

from programs import ROOT

SERVER = ROOT / "server"
ROOTS = (SERVER, ROOT / "include", ROOT)  # of #include "..."

# A folder may link these folders directly: the arrows of the architecture.
ARROWS = {
    "base": set(),
    "config": {"base"},
    "ipc": {"config"},
    "supervisor": {"ipc"},
    "control": {"supervisor"},
    "http": {"base"},
    "engine": {"http", "ipc"},
    "python": {"engine"},
    "worker": {"python"},
    "zygote": {"worker"},
}
PROGRAMS = {"gunid": {"control"}, "gunid-worker": {"zygote"}}

# Heavy or fateful headers of libraries, and the only folders (and program) that may see them.
LIBRARY_HEADERS = {
    r"Python\.h": {"server/python", "server/worker", "server/zygote", "server/gunid_worker.cc"},
    r"httplib\.h": {"server/control", "ctl"},
    r"CLI/.*": {"server/config", "ctl"},
    r"llhttp\.h": {"server/http"},
}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".cc", ".h"))


def all_sources() -> list[Path]:
    return sources(SERVER) + sources(ROOT / "ctl") + sources(ROOT / "include")


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M)


def own_includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.M)


@functools.cache
def seen_by(path: Path) -> frozenset[str]:
    """What a file includes, itself or through headers of ours."""
    seen = set(includes(path))
    for include in own_includes(path):
        for root in ROOTS:
            if (root / include).is_file():
                seen |= seen_by(root / include)
    return frozenset(seen)


def link_lists() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The gunid_* links of each layer and of each program in server/CMakeLists.txt."""
    text = re.sub(r"#.*", "", (SERVER / "CMakeLists.txt").read_text())

    def links(arguments: str) -> set[str]:
        return set(re.findall(r"\bgunid_(\w+)", arguments)) - {"common"}

    layers = {
        name: links(arguments)
        for name, arguments in re.findall(r"^gunid_layer\((\w+)([^)]*)\)", text, re.M)
    }
    programs = {
        name: links(arguments)
        for name, arguments in re.findall(r"^target_link_libraries\(([\w-]+)([^)]*)\)", text, re.M)
    }
    return layers, programs


def reachable(folder: str) -> set[str]:
    return {folder}.union(*(reachable(below) for below in ARROWS[folder]))


def forbidden(path: Path, allowed: set[str]) -> list[str]:
    """Includes of server folders that are not among the allowed ones."""
    found = []
    for include in own_includes(path):
        folder, slash, _ = include.partition("/")
        if slash and folder in ARROWS and folder not in allowed:
            found.append(f"{path.relative_to(ROOT)} includes {include}")
    return found


def test_link_lists_are_the_diagram():
    assert link_lists() == (ARROWS, PROGRAMS)


@pytest.mark.parametrize("folder", ARROWS)
def test_folder_includes_only_what_it_reaches(folder):
    files = sources(SERVER / folder)
    assert files
    assert [line for path in files for line in forbidden(path, reachable(folder))] == []


@pytest.mark.parametrize(
    "program, source", [("gunid", "gunid.cc"), ("gunid-worker", "gunid_worker.cc")]
)
def test_program_includes_only_what_it_reaches(program, source):
    allowed = set().union(*(reachable(folder) for folder in PROGRAMS[program]))
    assert forbidden(SERVER / source, allowed) == []


def test_every_include_of_ours_names_a_folder_and_exists():
    generated = {"gunid/version.h"}
    for path in all_sources():
        for include in own_includes(path):
            assert "/" in include, f"{path} includes {include} without its folder"
            assert ".." not in include, f"{path} includes {include}"
            if include in generated or include.startswith("CLI/"):
                continue
            assert any((root / include).is_file() for root in ROOTS), f"{path}: {include}"


def test_control_knows_only_two_headers_of_the_supervisor():
    for path in sources(SERVER / "control"):
        seen = {name for name in own_includes(path) if name.startswith("supervisor/")}
        assert seen <= {"supervisor/command.h", "supervisor/report.h"}, path


def test_the_two_programs_meet_at_the_process_border():
    """The two chains meet in ipc, config and base only."""
    assert reachable("control") & reachable("zygote") == {"ipc", "config", "base"}


@pytest.mark.parametrize("header", LIBRARY_HEADERS)
def test_library_header_is_seen_only_where_it_belongs(header):
    """Also not through a header of ours: these cost seconds per file, or change what a layer is."""
    users = {
        str((path if path.parent == SERVER else path.parent).relative_to(ROOT))
        for path in all_sources()
        if any(re.fullmatch(header, include) for include in seen_by(path))
    }
    assert users
    assert users <= LIBRARY_HEADERS[header]


def test_gunictl_includes_the_contract_and_itself_only():
    for path in sources(ROOT / "ctl"):
        folders = {include.partition("/")[0] for include in own_includes(path)}
        assert folders <= {"ctl", "gunid", "CLI"}, path


def test_the_contract_includes_nothing_of_either_side():
    for path in sources(ROOT / "include"):
        assert all(include.startswith("gunid/") for include in own_includes(path)), path
