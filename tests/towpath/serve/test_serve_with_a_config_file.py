"""A `serve` whose settings are in a TOML file: what its processes get, what a reload reads again, how other commands find it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx

from tests.promises.fleet import processes, towpath
from tests.support.plain_http import PLAIN
from tests.support.serving import BIN, Server, all_stand, environment, free_port, running, towpath_serve, wait_until

#: Shows the options with which its worker was started.
APP = """
import json, os

async def application(scope, receive, send):
    assert scope["type"] == "http"
    body = json.dumps({name: text for name, text in os.environ.items() if name.startswith("TOWPATH_")}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


def options_of_worker(server: Server) -> dict[str, str]:
    found: dict[str, str] = httpx.get(server.url, **PLAIN).json()
    return found


def test_all_processes_have_what_stands_in_the_file_and_a_reload_reads_it_again(tmp_path: Path, project: Path) -> None:
    """P7. Options of workers change with a reload; the others are named, APP among them. A file that is wrong changes nothing."""
    file = tmp_path / "site.toml"
    file.write_text(
        'log-level = "debug"\n[serve]\nworkers = 2\nthreads = 3\nheader = ["x-site: one"]\n[worker]\nthreads = 9\n'
    )
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--config", str(file)]) as server:
        assert len(processes(server, "worker")) == 2
        assert httpx.get(server.url, **PLAIN).headers["x-site"] == "one"
        first = options_of_worker(server)
        assert (first["TOWPATH_THREADS"], first["TOWPATH_LOG_LEVEL"]) == ("3", "debug")
        assert "TOWPATH_CONFIG" not in first
        file.write_text('log-level = "debug"\n[serve]\nworkers = 2\nthreads = 4\nheader = ["x-site: two"]\n')
        ended = towpath(server, "reload")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("ignored until `serve` is restarted: --header\n")
        assert options_of_worker(server)["TOWPATH_THREADS"] == "4"
        workers = processes(server, "worker")
        file.write_text("threads = 4\nwokers = 2\n")
        ended = towpath(server, "reload")
        assert ended.returncode == 1
        assert ended.stderr == f"towpath: {file}: wokers = 2 is no setting; did you mean workers?\n"
        assert set(processes(server, "worker")) == set(workers)


def test_with_reload_changed_settings_are_those_of_new_workers(tmp_path: Path, project: Path) -> None:
    """P7. --reload watches both files, wherever they are. What is ignored is named; a mistake costs no client its answer."""
    file, env = tmp_path / "site.toml", tmp_path / "site.env"
    file.write_text("threads = 3\n")
    env.write_text("TOWPATH_LIFESPAN=auto\n")
    options = ["--reload", "--config", str(file), "--env-file", str(env)]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        file.write_text('threads = 4\nheader = ["x-site: two"]\n')
        wait_until(lambda: options_of_worker(server)["TOWPATH_THREADS"] == "4", "the settings are in force", 30)
        assert f"changed: {file}" in server.log and "ignored until `serve` is restarted: --header" in server.log
        file.write_text("wokers = 2\n")
        server.wait_for_log("did you mean workers?; the old workers stay")
        assert options_of_worker(server)["TOWPATH_THREADS"] == "4"
        file.write_text("threads = 5\n")
        env.write_text("TOWPATH_LIFESPAN=off\n")
        wait_until(lambda: {"5", "off"} <= {*options_of_worker(server).values()}, "both files are in force", 30)


def test_a_default_on_the_command_line_comes_before_another_value_in_a_file(tmp_path: Path, project: Path) -> None:
    """The processes of `serve` read neither of its files: they would find there what the command line has overruled."""
    (tmp_path / ".env").write_text("TOWPATH_THREADS=5\nNAME=anna\n")
    (tmp_path / "site.toml").write_text("ws-ping-interval = 3\n")
    options = ["--threads", "8", "--ws-ping-interval", "20", "--env-file", ".env", "--config", "site.toml"]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, cwd=tmp_path, options=options) as server:
        given = options_of_worker(server)
        assert not {"TOWPATH_THREADS", "TOWPATH_WS_PING_INTERVAL", "TOWPATH_ENV_FILE", "TOWPATH_CONFIG"} & given.keys()


def test_app_and_address_may_stand_in_the_file_and_other_commands_find_the_serve_by_it(
    tmp_path: Path, project: Path
) -> None:
    """`towpath status --config site.toml`, or TOWPATH_CONFIG for all of them. A reload names an APP that has changed."""
    file, port = tmp_path / "site.toml", free_port()
    text = f'app-dir = "{project}"\n[serve]\nport = {port}\nrun-dir = "{tmp_path / "run"}"\n'
    file.write_text(f'app = "small"\n{text}')
    command = [BIN / "towpath", "serve", "--config", file]
    with running("serve", command, run_dir=tmp_path, port=port, ready=all_stand) as server:
        for words, env in ((["--config", str(file)], {}), ([], {"TOWPATH_CONFIG": str(file)})):
            ended = subprocess.run(
                [BIN / "towpath", "status", *words], env=environment(env), capture_output=True, text=True, timeout=60
            )
            assert ended.returncode == 0, ended.stderr
            assert "small" in ended.stdout
        file.write_text(f'app = "other"\n{text}')
        assert towpath(server, "reload").stdout.startswith("ignored until `serve` is restarted: APP\n")
        assert options_of_worker(server)["TOWPATH_APP"] == "small"
