"""Settings: environment, gunicorn.conf.py, GUNICORN_CMD_ARGS, command line: the later wins."""

import pytest

from programs import APPS, run


def probe(server) -> dict:
    return server.get().json()


def wanted(server) -> int:
    return server.status()["workers_wanted"]


def test_defaults(gunid, free_port):
    """One worker; PORT instead of 8000, which may be taken on this machine."""
    server = gunid("hello:app", bind=(), env={"PORT": str(free_port)})
    assert server.address == f"http://0.0.0.0:{free_port}"
    assert wanted(server) == 1


def test_layers_of_workers(gunid, tmp_path):
    config = tmp_path / "settings.py"
    config.write_text("workers = 3\n")
    env = {"WEB_CONCURRENCY": "2"}
    assert wanted(gunid("hello:app", env=env)) == 2
    assert wanted(gunid("hello:app", "-c", config, env=env)) == 3
    env["GUNICORN_CMD_ARGS"] = "--workers 4"
    assert wanted(gunid("hello:app", "-c", config, env=env)) == 4
    assert wanted(gunid("hello:app", "-c", config, "-w", "5", env=env)) == 5


def test_gunicorn_cmd_args_are_split_like_a_shell_does(gunid):
    server = gunid("settings_probe:app", env={"GUNICORN_CMD_ARGS": "-e 'A=one two' --env B=\"3\""})
    assert probe(server)["environ"]["A"] == "one two"
    assert probe(server)["environ"]["B"] == "3"


def test_environment_variables(gunid):
    server = gunid("settings_probe:app", "-e", "A=1", "--env", "B=x=y")
    environ = probe(server)["environ"]
    assert (environ["A"], environ["B"]) == ("1", "x=y")


def test_chdir(gunid, tmp_path):
    server = gunid("settings_probe:app", "--chdir", APPS, cwd=tmp_path)
    document = probe(server)
    assert document["cwd"] == str(APPS)
    assert document["path"][0] == str(APPS)


def test_relative_chdir_means_the_same_after_a_reload(gunid):
    server = gunid("settings_probe:app", "--chdir", "apps", cwd=APPS.parent)
    assert server.gunictl("reload").stderr == ""
    assert probe(server)["cwd"] == str(APPS)


def test_current_directory_is_on_the_path(gunid):
    document = probe(gunid("settings_probe:app"))
    assert document["cwd"] == str(APPS)
    assert str(APPS) in document["path"]


def test_pythonpath(gunid, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "second" / "elsewhere.py").write_text("from hello import app\n")
    server = gunid("elsewhere:app", "--pythonpath", f"{tmp_path}/first,{tmp_path}/second")
    assert server.get().text == "hello"


@pytest.mark.parametrize("prefix", ["", "file:"])
def test_config_file(gunid, tmp_path, prefix):
    config = tmp_path / "settings.py"
    config.write_text(
        "import os\n"
        "def helper(): return 1 + 1\n"
        "workers = helper()\n"
        "threads = 3\n"
        "wsgi_app = 'settings_probe:app'\n"
        "raw_env = ['A=from the file']\n"
        "bind = ['127.0.0.1:0', '127.0.0.1:0']\n"
        "timeout = 20.5\n"
        "preload_app = True\n"
    )
    server = gunid("-c", f"{prefix}{config}", bind=())
    server.log.wait_for("Listening at", count=2)
    assert wanted(server) == 2
    assert probe(server)["environ"]["A"] == "from the file"


def test_gunicorn_conf_py_is_found_in_the_current_directory(gunid, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\n")
    assert wanted(gunid("hello:app", "--pythonpath", APPS, cwd=tmp_path)) == 2


def test_unsupported_gunicorn_setting_is_named(gunid, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("statsd_host = 'localhost:8125'\nmine = 1\n")
    server = gunid("hello:app", "--pythonpath", APPS, cwd=tmp_path)
    server.log.wait_for("statsd_host")
    assert "mine" not in server.log.text()


def test_settings_for_requests_and_proxies(gunid, tmp_path):
    """Every type that the configuration file may give; none is called unsupported."""
    config = tmp_path / "settings.py"
    config.write_text(
        "limit_request_body = 10 ** 9\n"
        "header_timeout = body_timeout = send_timeout = 2.5\n"
        "permit_obsolete_folding = strip_header_spaces = casefold_http_method = True\n"
        "permit_unconventional_http_method = permit_unconventional_http_version = True\n"
        "header_map = 'refuse'\n"
        "forwarded_allow_ips = ['10.0.0.0/8', '::1']\n"
        "forwarder_headers = ('SCRIPT_NAME',)\n"
        "secure_scheme_headers = {'X-SCHEME': 'https'}\n"
        "proxy_protocol = True\n"
        "proxy_allow_ips = '*'\n"
    )
    server = gunid("hello:app", "-c", config)
    assert server.get().text == "hello"
    assert server.gunictl("reload").stderr == ""
    assert "not supported" not in server.log.text()
    assert "WARNING" not in server.log.text()


@pytest.mark.parametrize("arguments", [
    ("--proxy-protocol", "hello:app"), ("hello:app", "--proxy-protocol"),
    ("--proxy-protocol", "v2", "hello:app"), ("--proxy-protocol=v1", "hello:app"),
], ids=" ".join)
def test_proxy_protocol_leaves_the_application_alone(gunid, arguments):
    assert gunid(*arguments).get().text == "hello"


def test_pidfile(gunid, tmp_path):
    pidfile = tmp_path / "gunid.pid"
    server = gunid("hello:app", "--pid", pidfile)
    assert int(pidfile.read_text()) == server.pid
    assert server.stop() == 0
    assert not pidfile.exists()


def test_error_log_file(gunid, tmp_path):
    log = tmp_path / "error.log"
    server = gunid("wsgi_probe:app", "--error-logfile", log)
    url = server.status()["listeners"][0]["address"]
    answer = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/raise")
    assert answer.stdout == "500"
    assert f"Listening at: {url}" in log.read_text()
    assert "RuntimeError: the application failed" in log.read_text()
    assert "Listening" not in server.log.text()


def test_log_level(gunid):
    server = gunid("hello:app", "--log-level", "error")
    assert server.stop() == 0
    assert server.log.text() == ""


def test_log_lines_have_gunicorns_form(gunid):
    server = gunid("hello:app")
    server.log.wait_for(
        r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] "
        rf"\[{server.pid}\] \[INFO\] Starting gunid [\d.]+$"
    )


@pytest.mark.parametrize("limit, status", [("100", 414), ("4094", 200)])
def test_request_line_limit(gunid, limit, status):
    server = gunid("hello:app", "--limit-request-line", limit)
    assert server.get("/" + "a" * 200).status == status
