"""The commands as they are typed: what they say, and their exit codes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from channel_layer.settings import RedisSettings
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, environment
from towpath.commands import processes
from towpath.errors import StartFailure

STARTUP_FAILURE = 3


def towpath(*words: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [str(word) for word in (BIN / "towpath", *words)]
    return subprocess.run(
        command, cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("command", ["serve", "interface", "worker", "status", "stop", "reload", "scale", "config"])
def test_every_command_explains_itself(command: str) -> None:
    """And the list of commands names it; what is for ourselves alone is not shown."""
    overview = towpath("--help").stdout
    assert re.search(rf"^  {command} ", overview, re.MULTILINE)
    assert "embedded" not in overview
    explained = towpath(command, "--help")
    assert explained.returncode == 0
    assert explained.stdout.startswith(f"Usage: towpath {command} ")


def test_the_version_is_told() -> None:
    """One line, as elsewhere; and it names what runs, since two builds of one version are not equally fast."""
    told = towpath("--version").stdout
    assert re.fullmatch(r"towpath \d+\.\d+\.\d+\S* \((interpreted|compiled core), CPython \d+\.\d+\.\d+\S*\)\n", told)


OUT_OF_RANGE = {
    "a port": (["--port", "99999"], "'--port': 99999"),
    "a number of interface servers": (["--interfaces", "0"], "'--interfaces': 0"),
    "a number of workers": (["--workers", "-1"], "'--workers': -1"),
    "a time": (["--queue-wait", "-1"], "'--queue-wait'"),
    "a time that is no number": (["--queue-wait", "nan"], "'nan' is not a number of seconds"),
    "a time without an end": (["--queue-wait", "inf"], "'--queue-wait': inf is not a number of seconds"),
    "a root path": (["--root-path", "foo"], "'foo' does not begin with a slash"),
    "a size": (["--ws-max-size", "large"], "'large' is not a size"),
    "a header": (["--header", "no colon"], "'no colon' is not of the form NAME:VALUE"),
    "a header of two lines": (["--header", "a: b\r\nc: d"], "control characters"),
    "a header that frames": (["--header", "Content-Length: 5"], "'Content-Length' belongs to one message"),
    "a header of the connection": (["--header", "keep-alive:timeout=5"], "'keep-alive' belongs to one message"),
    "a header that HTTP has no bytes for": (
        ["--header", "x-price:5 €"],
        "'x-price' has characters that are not in Latin-1",
    ),
    "a port that is no number": (["--port", "http"], "'--port': 'http' is not a whole number from 0 to 65535"),
    "a time in words": (["--queue-wait", "long"], "'long' is not a number of seconds"),
    "an empty address": (["--host", ""], "'' is no address"),
    "a unix socket that fits nowhere": (["--uds", "x" * 108], "too long for the path of a unix socket"),
    "no size at all": (["--ws-max-size", "0"], "'--ws-max-size': '0' is less than 1"),
    "a Redis URL": (["--redis", "http://x"], "none of redis://, rediss://, unix://, redis+sentinel://"),
    "a trusted peer": (["--forwarded-allow-ips", "10.0.0.0/8,bogus"], "'--forwarded-allow-ips': 'bogus'"),
    "a log configuration": (["--log-config", "nowhere.json"], "'nowhere.json' does not exist"),
    "a log level": (["--log-level", "loud"], "'loud' is not one of"),
    "a number for --interface": (["--interface", "2"], "did you mean --interfaces 2?"),
}


@pytest.mark.parametrize("what", OUT_OF_RANGE)
def test_a_value_out_of_range_is_one_sentence(what: str) -> None:
    """P12. Exit code 3, and the sentence names the option and the value."""
    words, sentence = OUT_OF_RANGE[what]
    ended = towpath("serve", "app", *words)
    assert_one_sentence(ended, sentence)


def test_who_asks_for_tls_is_told_where_it_is_done() -> None:
    """uvicorn has these options; a guess at what was meant would not help."""
    ended = towpath("serve", "app", "--ssl-keyfile", "key.pem")
    assert ended.returncode == 2
    assert "--ssl-keyfile: there is no TLS here yet" in ended.stderr
    assert "ean" not in ended.stderr  # "Did you mean …?"


def test_who_forgets_the_command_is_told_which() -> None:
    """`uvicorn main:app` needs none, and others call it by another name."""
    for words in (["main:app", "--port", "80"], ["run", "main:app", "--port", "80"]):
        ended = towpath(*words)
        assert ended.returncode == 2
        assert f"No such command '{words[0]}'. Did you mean: towpath serve main:app --port 80" in ended.stderr
    assert "Did you mean: towpath serve mysite.asgi" in towpath("mysite.asgi").stderr
    assert "Did you mean: towpath serve APP" in towpath("run").stderr


#: Name and text of a file for --log-config, and what the sentence must name.
WRONG_LOG_CONFIGS = {
    "no JSON": ("log.json", "{", "Expecting property name"),
    "no YAML": ("log.yaml", "a: [", "while parsing"),
    "no ini": ("log.ini", "hello", "no section headers"),
    "another version": ("log.json", '{"version": 2}', "Unsupported version: 2"),
    "no such class": (
        "log.json",
        '{"version": 1, "handlers": {"x": {"class": "no.such"}}}',
        "Unable to configure handler 'x': Cannot resolve 'no.such': No module named 'no'",
    ),
    "no such name": (
        "log.ini",
        "[loggers]\nkeys=root\n[handlers]\nkeys=x\n[formatters]\nkeys=\n[logger_root]\nhandlers=x\n"
        "[handler_x]\nclass=StreamHandler\nargs=(nobody,)\n",
        "name 'nobody' is not defined",
    ),
}


@pytest.mark.parametrize("command", ["serve", "interface", "worker", "check"])
@pytest.mark.parametrize("what", WRONG_LOG_CONFIGS)
def test_a_log_configuration_that_is_none_is_one_sentence(
    projects: Path, redis_server: RedisServer, command: str, what: str
) -> None:
    """P12. From `serve` before anything is started."""
    name, text, part = WRONG_LOG_CONFIGS[what]
    (projects / name).write_text(text)
    words = {
        "serve": ["serve", "good:application", "--app-dir", projects, "--port", "0"],
        "interface": ["interface", "--port", "0"],
        "worker": ["worker", "good:application", "--app-dir", projects],
        "check": ["worker", "good:application", "--app-dir", projects, "--check"],
    }[command]
    ended = towpath(*words, "--redis", redis_server.url, "--log-config", projects / name)
    assert_one_sentence(ended, f"{projects / name} cannot be used as a log configuration: ")
    assert part in ended.stderr
    assert "PosixPath" not in ended.stderr


def test_a_wrong_value_of_a_variable_names_the_variable(tmp_path: Path) -> None:
    """P12. Platforms set it, and the user did not type the option."""
    assert_one_sentence(towpath("serve", "app", WEB_CONCURRENCY="x"), "Invalid value for 'WEB_CONCURRENCY': 'x'")
    assert_one_sentence(towpath("serve", "app", TOWPATH_WORKERS="x"), "Invalid value for 'TOWPATH_WORKERS': 'x'")
    assert_one_sentence(towpath("serve", "app", "--workers", "x"), "Invalid value for '--workers': 'x'")


@pytest.mark.parametrize("command", ["status", "stop", "reload", "scale"])
def test_who_looks_for_a_serve_is_told_what_the_options_mean_there(command: str) -> None:
    """They listen nowhere."""
    explained = towpath(command, "--help").stdout
    assert "The `serve` that listens on this port" in explained
    assert "Port to listen on" not in explained


def test_ctrl_c_while_everything_is_being_imported_is_quiet(tmp_path: Path) -> None:
    """Exit code 130, as later."""
    (tmp_path / "click.py").write_text("print('importing', flush=True)\ninput()\n")
    started = subprocess.Popen(
        [BIN / "towpath", "--version"],
        env=environment({"PYTHONPATH": str(tmp_path)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "importing\n"
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=30)
    assert (started.returncode, errors) == (130, "")


def assert_one_sentence(ended: subprocess.CompletedProcess[str], part: str) -> None:
    """Exit code 3 and one line that holds `part`."""
    assert ended.returncode == STARTUP_FAILURE, ended.stderr
    assert_greets_nobody(ended)
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("towpath: ")
    assert part in lines[0]


def assert_greets_nobody(ended: subprocess.CompletedProcess[str]) -> None:
    """Nothing on standard output; but on a machine where loading takes so long, that it does and what was said meanwhile."""
    assert ended.stdout == "" or ended.stdout.startswith("still loading ")
    assert "Towpath serves" not in ended.stdout


#: What each file says, and what the sentence must name.
WRONG_APPS = {
    "no module": ("nowhere:application", "nowhere"),
    "no attribute": ("empty:application", "application"),
    "neither default attribute": ("empty", "empty"),
    "not callable": ("number:application", "number"),
}


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """Modules with one fault each."""
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "number.py").write_text("application = 7\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('no database')\n")
    (tmp_path / "good.py").write_text("async def application(scope, receive, send): ...\n")
    return tmp_path


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("what", WRONG_APPS)
def test_a_wrong_app_is_one_sentence(projects: Path, command: str, what: str) -> None:
    """P12. From `serve` too, before anything is started."""
    app, part = WRONG_APPS[what]
    check = ["--check"] if command == "worker" else ["--port", "0"]
    assert_one_sentence(towpath(command, app, "--app-dir", projects, *check), part)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_an_app_that_raises_shows_where(projects: Path, command: str) -> None:
    """The sentence comes last; above it, how the project's own code came there."""
    check = ["--check"] if command == "worker" else ["--port", "0"]
    ended = towpath(command, "raises:application", "--app-dir", projects, *check)
    assert ended.returncode == STARTUP_FAILURE
    *shown, sentence = ended.stderr.splitlines()
    assert sentence.startswith("towpath: importing 'raises' raised RuntimeError: no database")
    if ended.stdout.startswith(
        "still loading "
    ):  # a slow machine: lines were shown as they came, the sentence among them
        of_worker = [line.partition(" | ")[2] for line in ended.stdout.splitlines() if line.startswith("worker-0")]
        shown = [line for line in of_worker if line != sentence]
    assert shown == [
        "Traceback (most recent call last):",
        f'  File "{projects / "raises.py"}", line 1, in <module>',
        "    raise RuntimeError('no database')",
        "RuntimeError: no database",
    ]


#: The end of a module that sets Django up, and the last word of its check: None where nothing is wrong.
DJANGOS = {
    "asgi": ("from django.core.asgi import get_asgi_application as made", "importing 'wrong_urls' raised NameError"),
    "wsgi": ("from django.core.wsgi import get_wsgi_application as made", "importing 'wrong_urls' raised NameError"),
    "models alone": (
        "import django; django.setup()\ndef made():\n    async def app(scope, receive, send): ...\n    return app",
        None,
    ),
}


@pytest.mark.parametrize("how", DJANGOS)
def test_a_view_of_django_that_cannot_be_imported_is_found_with_the_app(projects: Path, how: str) -> None:
    """P7. Django would import it at the first request, when the workers that could serve it have been replaced."""
    source, part = DJANGOS[how]
    (projects / "views.py").write_text("def view(request): ...\nnobody\n")
    (projects / "wrong_urls.py").write_text("import views\nurlpatterns = []\n")
    configured = "from django.conf import settings\nsettings.configure(ROOT_URLCONF='wrong_urls')\n"
    (projects / "site_one.py").write_text(f"{configured}{source}\napplication = made()\n")
    ended = towpath("worker", "site_one:application", "--app-dir", projects, "--check")
    if part is None:
        assert (ended.returncode, ended.stderr) == (0, "")
    else:
        assert ended.returncode == STARTUP_FAILURE
        assert f"towpath: {part}: name 'nobody' is not defined ({projects / 'views.py'}:2)" in ended.stderr


#: How a module ends the process that imports it, and what the sentence must say.
DEADLY_APPS = {
    "with a failure": ("import os; os._exit(1)", "left with exit status 1"),
    "with no failure": ("import os; os._exit(0)", "left with exit status 0"),
    "by a crash": ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
    "but for a child": ("import os, time\nif os.fork() == 0: time.sleep(2)\nos._exit(4)", "left with exit status 4"),
}


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("how", DEADLY_APPS)
def test_an_app_that_ends_the_process_that_loads_it_is_one_sentence(projects: Path, command: str, how: str) -> None:
    """P12. No word of ours can come from within; a crash shows its line of Python above the sentence."""
    source, part = DEADLY_APPS[how]
    (projects / "deadly.py").write_text(source)
    check = ["--check"] if command == "worker" else ["--port", "0"]
    ended = towpath(command, "deadly:application", "--app-dir", projects, *check)
    assert ended.returncode == STARTUP_FAILURE
    assert_greets_nobody(ended)
    assert f"towpath: the process that loaded 'deadly:application' {part}" in ended.stderr.splitlines()[-1]
    assert ("deadly.py" in ended.stdout + ended.stderr) == ("SIGSEGV" in part)


def test_a_thread_that_an_app_starts_does_not_hold_up_the_check(projects: Path) -> None:
    """Importing is all that is asked for."""
    (projects / "busy.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\ndef application(scope): ...\n"
    )
    assert towpath("worker", "busy:application", "--app-dir", projects, "--check").returncode == 0


def test_a_good_app_passes_the_check_in_silence(projects: Path) -> None:
    """Exit code 0."""
    ended = towpath("worker", "good:application", "--app-dir", projects, "--check")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("command", ["serve", "interface"])
def test_a_port_that_is_taken_is_one_sentence(projects: Path, command: str) -> None:
    """P12. Found out before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = ["good:application", "--app-dir", projects, "--run-dir", projects / "run"] if command == "serve" else []
        ended = towpath(command, *app, "--port", str(port))
    assert_one_sentence(ended, f"port {port} on 127.0.0.1 is in use")
    assert not (projects / "run").exists()


@pytest.mark.parametrize("kind", [None, socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["file", "listener", "datagrams"])
def test_what_is_somebody_elses_at_the_place_of_a_unix_socket_stays_there(
    projects: Path, kind: socket.SocketKind | None
) -> None:
    """P12. A socket to which we cannot connect is not dead for that: it may be for datagrams, or not for us."""
    path = projects / "taken.sock"
    with socket.socket(socket.AF_UNIX, kind or socket.SOCK_STREAM) as taken:
        if kind is None:
            path.touch()
        else:
            taken.bind(str(path))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        assert_one_sentence(towpath("interface", "--uds", path), f"cannot listen on the unix socket {path}: ")
        assert path.exists()


@pytest.mark.parametrize("command", ["serve", "interface", "worker", "status"])
def test_a_redis_that_does_not_answer_is_one_sentence(projects: Path, command: str) -> None:
    """P12. After a short time in which it may still be starting."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and no other process can take it
        url = f"redis://:secret@127.0.0.1:{unused.getsockname()[1]}/0"
        app = ["good:application", "--app-dir", projects] if command in ("serve", "worker") else []
        port = ["--port", "0"] if command in ("serve", "interface") else []
        wait = ["--redis-wait", "0.5"] if command != "status" else []
        ended = towpath(command, *app, *port, *wait, "--redis", url)
    assert_one_sentence(ended, "is unreachable")
    assert "secret" not in ended.stderr


def test_who_has_not_said_where_redis_is_is_told_of_the_option() -> None:
    """P12. `towpath worker APP` alone: a sentence about an address that was not given is of no help."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        with pytest.raises(StartFailure, match=r"is unreachable: .*; use --redis if another one is meant"):
            processes._find_redis({"redis": None, "redis_wait": 0.0}, RedisSettings(url=url))
        with pytest.raises(StartFailure) as said:
            processes._find_redis({"redis": url, "redis_wait": 0.0}, RedisSettings(url=url))
    assert "--redis" not in str(said.value)


def test_a_projects_own_channel_layer_is_not_shadowed_in_silence(projects: Path) -> None:
    """P12. `import channel_layer` means ours in every application; one sentence says so, and nothing else of our names does."""
    (projects / "worker.py").touch()
    assert towpath("worker", "good:application", "--app-dir", projects, "--check").stderr == ""
    (projects / "channel_layer").mkdir()
    ended = towpath("worker", "good:application", "--app-dir", projects, "--check")
    assert (ended.returncode, ended.stderr) == (
        0,
        f"towpath: `import channel_layer` means Towpath's here, and not {projects / 'channel_layer'}: give that another name\n",
    )


@pytest.mark.parametrize("words", [["stop"], ["reload"], ["scale", "worker=2"], ["status"]], ids=" ".join)
def test_asking_what_does_not_run_says_so(tmp_path: Path, words: list[str]) -> None:
    """And is no success. `status` does not speak of some other Redis that was not given."""
    ended = towpath(*words, "--run-dir", tmp_path)
    assert ended.returncode == 1
    assert f"no `towpath serve` runs in {tmp_path}" in ended.stderr
    assert "6379" not in ended.stderr


@pytest.mark.parametrize("words", [[], ["worker"], ["worker=x"], ["workers=2"], ["worker=1", "worker=2"]], ids=" ".join)
def test_a_number_that_is_none_is_no_scale(tmp_path: Path, words: list[str]) -> None:
    """Exit code 2, and how it is written."""
    ended = towpath("scale", *words, "--run-dir", tmp_path)
    assert ended.returncode == 2
    assert "worker=N" in ended.stderr


def test_the_environment_file_is_read_before_the_options(projects: Path) -> None:
    """It may set TOWPATH_… for us and anything for the application; what is set already wins."""
    (projects / ".env").write_text("TOWPATH_PORT=99999\n")
    assert_one_sentence(towpath("serve", "good:application", "--env-file", projects / ".env"), "99999")
    assert_one_sentence(
        towpath("serve", "good:application", "--env-file", projects / ".env", TOWPATH_PORT="88888"), "88888"
    )
