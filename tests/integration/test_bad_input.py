"""Bad input: one clear line, the right exit code, and nothing left running."""

import os
import re
import socket
import tempfile

import pytest

from programs import APPS, GUNID, environment, run

OK, CONFIG, USAGE, BOOT_ERROR, APP_LOAD_ERROR = range(5)


class Start:
    """A start of gunid that ends by itself."""

    def __init__(self, *arguments: object, bind: str = "127.0.0.1:0", cwd=APPS, **variables: str):
        with tempfile.TemporaryDirectory(prefix="gunid-test-") as directory:
            control = ("--control-socket", f"{directory}/control.sock")
            env = environment(**variables)
            result = run(GUNID, "--bind", bind, *control, *arguments, cwd=cwd, env=env)
        self.code = result.returncode
        self.stdout = result.stdout
        self.output = result.stderr

    @property
    def reasons(self) -> list[str]:
        """What it says of what is wrong: lines of its own, or errors in the log."""
        lines = self.output.splitlines()
        log_lines = [line for line in lines if re.match(r"\[[^]]+\] \[\d+\] \[\w+\]", line)]
        errors = [line for line in log_lines if re.search(r"\] \[(ERROR|CRITICAL)\] ", line)]
        return errors + [line for line in lines if line.startswith("gunid: ")]


def assert_refused(start: Start, code: int, reason: str) -> None:
    assert start.code == code, start.output
    assert start.stdout == ""
    assert any(re.search(reason, line) for line in start.reasons), start.output
    assert "Traceback" not in start.output


# The command line


@pytest.mark.parametrize("arguments, reason", [
    (["--no-such-flag"], "--no-such-flag"),
    (["-w"], "-w needs a value"),
    (["-w", "abc"], r"'abc'.*workers"),
    (["-w", "0"], r"'0'.*workers"),
    (["-w", "-1"], r"'-1'.*workers"),
    (["-w", "1000000"], r"'1000000'.*workers"),
    (["-w", "1.5"], r"'1.5'.*workers"),
    (["--threads", "0"], "threads"),
    (["--timeout", "-1"], r"'-1'.*timeout"),
    (["--timeout", "nan"], "timeout"),
    (["--max-requests", "many"], "max_requests"),
    (["--log-level", "loud"], "loud"),
    (["--umask", "999"], "999"),
    (["--limit-request-body", "1k"], r"'1k'.*limit_request_body"),
    (["--header-timeout", "-1"], r"'-1'.*header_timeout"),
    (["--body-timeout", "soon"], r"'soon'.*body_timeout"),
    (["--send-timeout", "1e99"], r"'1e99'.*send_timeout"),
    (["--header-map", "merge"], "header map 'merge'.*choose drop, refuse or dangerous"),
    (["--forwarded-allow-ips", "10.0.0.1/8"],
     r"'10.0.0.1/8' for forwarded_allow_ips \(command line\): '10.0.0.1/8' has host bits set"),
    (["--forwarded-allow-ips", "::1,proxy.example.com"],
     "forwarded_allow_ips.*'proxy.example.com' is not an IP address or network"),
    (["--proxy-allow-from", "10.0.0.0/33"], "proxy_allow_ips.*'10.0.0.0/33' has no prefix length"),
    (["--proxy-protocol=v3"], "proxy protocol 'v3'.*choose off, v1, v2 or auto"),
    (["--proxy-protocol", "v3"], "unexpected argument 'v3'"),
    (["--secure-scheme-headers", "X"], "unknown option --secure-scheme-headers"),
    (["two:apps"], "two:apps"),
], ids=str)
def test_bad_command_line(arguments, reason):
    start = Start("hello:app", *arguments)
    assert_refused(start, USAGE, reason)
    assert len(start.output.splitlines()) == 1, start.output


def test_bad_gunicorn_cmd_args():
    start = Start("hello:app", GUNICORN_CMD_ARGS="--workers abc")
    assert_refused(start, USAGE, r"'abc'.*workers.*GUNICORN_CMD_ARGS")
    assert_refused(Start("hello:app", GUNICORN_CMD_ARGS="--what"), USAGE, "--what")
    start = Start("hello:app", GUNICORN_CMD_ARGS="--proxy-allow-from=localhost")
    assert_refused(start, USAGE, r"'localhost' for proxy_allow_ips \(GUNICORN_CMD_ARGS\)")
    start = Start("hello:app", GUNICORN_CMD_ARGS="--header-map x")
    assert_refused(start, USAGE, r"header map 'x'.*\(GUNICORN_CMD_ARGS\)")
    assert_refused(Start("hello:app", GUNICORN_CMD_ARGS="'unbalanced"), USAGE, "GUNICORN_CMD_ARGS")


@pytest.mark.parametrize("name, value", [("WEB_CONCURRENCY", "abc"), ("WEB_CONCURRENCY", "0"),
                                         ("PORT", "abc"), ("PORT", "70000"),
                                         ("FORWARDED_ALLOW_IPS", "10.0.0.1/8"),
                                         ("FORWARDED_ALLOW_IPS", "127.0.0.1,")])
def test_bad_environment(name, value):
    result = run(GUNID, "hello:app", cwd=APPS, env=environment(**{name: value}))
    assert result.returncode == CONFIG
    assert name in result.stderr
    assert "Traceback" not in result.stderr


def test_no_application_given():
    assert_refused(Start(), USAGE, "(?i)no application")


# The application


@pytest.mark.parametrize("application, code, reason", [
    ("no_such_module:app", BOOT_ERROR, "No module named 'no_such_module'"),
    ("package.nothing:app", BOOT_ERROR, "No module named 'package.nothing'"),
    ("hello:nothing", APP_LOAD_ERROR, "Failed to find attribute 'nothing' in 'hello'"),
    ("package", APP_LOAD_ERROR, "Failed to find attribute 'application' in 'package'"),
    ("hello:not_callable", APP_LOAD_ERROR, "must be callable"),
    ("factory:create_nothing()", APP_LOAD_ERROR, "create_nothing"),
    ("factory:missing()", APP_LOAD_ERROR, "Failed to find attribute 'missing' in 'factory'"),
    ("factory:create_app(", APP_LOAD_ERROR, r"create_app\("),
    ("factory:create_app(name)", APP_LOAD_ERROR, "literal"),
    ("hello:app.attribute", APP_LOAD_ERROR, r"app\.attribute"),
    ("hello.py", BOOT_ERROR, "hello"),
])
@pytest.mark.parametrize("arguments", [(), ("--preload",), ("-w", "3")], ids=str)
def test_bad_application(application, code, reason, arguments):
    start = Start(application, *arguments)
    assert_refused(start, code, reason)


@pytest.mark.parametrize("source, reason", [
    ("def app(:\n", "SyntaxError"),
    ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("raise RuntimeError('not today')\n", "RuntimeError: not today"),
    ("def f(): return 1 / 0\nf()\n", "ZeroDivisionError"),
    ("import sys; sys.exit('enough')\n", "enough"),
], ids=str)
@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["each", "preload"])
def test_failing_import_shows_the_applications_traceback(tmp_path, source, reason, arguments):
    (tmp_path / "bad.py").write_text(source)
    start = Start("bad:app", *arguments, cwd=tmp_path)
    assert start.code == BOOT_ERROR, start.output
    assert reason in start.output
    assert f'File "{tmp_path}/bad.py", line ' in start.output
    assert "importlib" not in start.output


def test_factory_that_fails_shows_its_own_traceback():
    start = Start("factory:create_failing()")
    assert start.code in (BOOT_ERROR, APP_LOAD_ERROR)
    assert "RuntimeError: the factory failed" in start.output
    assert re.search(r'File ".*factory\.py", line \d+, in create_failing', start.output)


def test_application_that_kills_its_process_at_import(tmp_path):
    (tmp_path / "bad.py").write_text("import os; os._exit(9)\n")
    start = Start("bad:app", cwd=tmp_path)
    assert start.code == BOOT_ERROR
    assert "Traceback" not in start.output


# The system


def test_port_in_use():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        start = Start("hello:app", bind=address)
    assert_refused(start, CONFIG, re.escape(address) + ".*Address already in use")


@pytest.mark.parametrize("address", [
    "127.0.0.1:99999", "127.0.0.1:abc", "[::1:80", "unix:", "fd://3",
    "unix:/no/such/directory/a.sock", "unix:/" + "a" * 200,
    "no.such.host.invalid:80", "192.0.2.1:0",
])
def test_bad_address(address):
    start = Start("hello:app", bind=address)
    assert start.code in (CONFIG, USAGE), start.output
    assert start.reasons, start.output
    assert "Traceback" not in start.output


def test_unix_socket_path_that_is_a_file_is_not_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert_refused(Start("hello:app", bind=f"unix:{path}"), CONFIG, re.escape(str(path)))
    assert path.read_text() == "data"


def test_unwritable_control_socket_path(tmp_path):
    path = tmp_path / "missing" / "control.sock"
    start = Start("hello:app", "--control-socket", path)
    assert_refused(start, CONFIG, f"control socket.*{re.escape(str(path.parent))}")


def test_control_socket_path_that_is_a_file_is_not_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert_refused(Start("hello:app", "--control-socket", path), CONFIG, re.escape(str(path)))
    assert path.read_text() == "data"


def test_unwritable_log_and_pid_file(tmp_path):
    path = tmp_path / "missing" / "file"
    for flag in ("--error-logfile", "--pid"):
        assert_refused(Start("hello:app", flag, path), CONFIG, re.escape(str(path)))


def test_missing_chdir(tmp_path):
    path = tmp_path / "missing"
    assert_refused(Start("hello:app", "--chdir", path), CONFIG, re.escape(str(path)))


# The configuration file


def test_missing_config_file(tmp_path):
    path = tmp_path / "missing.py"
    assert_refused(Start("hello:app", "-c", path), CONFIG, re.escape(str(path)))


@pytest.mark.parametrize("source, reason", [
    ("workers = 0\n", "workers"),
    ("workers = 'many'\n", r"'many'.*workers"),
    ("workers = [1]\n", "workers"),
    ("bind = 5\n", "bind"),
    ("worker_class = 'eventlet'\n", "eventlet"),
    ("timeout = -1\n", "timeout"),
    ("forwarded_allow_ips = '10.0.0.1/8'\n", "forwarded_allow_ips.*host bits"),
    ("forwarded_allow_ips = ['::1', 'localhost']\n", "forwarded_allow_ips.*'localhost' is not"),
    ("proxy_allow_ips = 5\n", "proxy_allow_ips.*a string or a list of strings"),
    ("proxy_protocol = 'v3'\n", "proxy protocol 'v3'.*choose off, v1, v2 or auto"),
    ("header_map = 'merge'\n", "header map 'merge'.*choose drop, refuse or dangerous"),
    ("secure_scheme_headers = 'X-Scheme'\n", "secure_scheme_headers.*a dict of strings"),
    ("secure_scheme_headers = {'X-Scheme': 1}\n", "secure_scheme_headers"),
    ("limit_request_body = -1\n", "limit_request_body"),
])
def test_bad_value_in_config_file(tmp_path, source, reason):
    path = tmp_path / "settings.py"
    path.write_text(source)
    start = Start("hello:app", "-c", path)
    assert_refused(start, CONFIG, reason)
    assert str(path) in start.output


@pytest.mark.parametrize("source, reason", [
    ("workers = \n", "SyntaxError"),
    ("raise ValueError('bad day')\n", "ValueError: bad day"),
    ("import sys; sys.exit(0)\n", "SystemExit"),
])
def test_config_file_that_fails(tmp_path, source, reason):
    path = tmp_path / "settings.py"
    path.write_text(source)
    start = Start("hello:app", "-c", path)
    assert start.code == CONFIG, start.output
    assert reason in start.output
    assert str(path) in start.output


# --check-config


def test_check_config(tmp_path):
    assert Start("hello:app", "--check-config").code == OK
    (tmp_path / "settings.py").write_text("workers = 0\n")
    assert Start("hello:app", "--check-config", "-c", tmp_path / "settings.py").code == CONFIG


# Nothing is left


@pytest.mark.parametrize("arguments", [("no_such_module",), ("hello:nothing", "-w", "4"),
                                       ("hello:app", "--control-socket", "/no/such/dir/c.sock")])
def test_failed_start_leaves_nothing(gunid, tmp_path, arguments):
    path = tmp_path / "app.sock"
    control = "--control-socket" not in arguments
    server = gunid(*arguments, bind=(f"unix:{path}",), control=control, ready=False)
    assert server.wait_exit() != OK
    server.wait_gone()
    assert not path.exists()
    assert not server.control_socket.exists()
    assert not os.path.exists(f"/proc/{server.pid}")
