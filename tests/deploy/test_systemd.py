"""The units in `deploy/systemd` are ones that systemd takes, and what they use of `towpath` is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from interface_server.settings import InterfaceSettings
from tests.support.serving import BIN
from towpath.config.option_row import INTERFACE, RELOAD, SERVE, WORKER
from towpath.config.options import ROWS
from worker.settings import WorkerSettings

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = {"towpath-interface.service": INTERFACE, "towpath-worker@.service": WORKER, "towpath.service": SERVE}
SOCKETS = ("towpath-interface.socket", "towpath.socket")
TOWPATH = "/srv/mysite/.venv/bin/towpath"
#: What `systemd-analyze security` may say: from 0 (nothing can be reached) to 10; it calls 2 and less "OK".
EXPOSURE_MAX = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: apt install systemd)"
)


def entries(unit: str) -> dict[str, str]:
    """The keys of a unit; none stands in it twice."""
    lines = re.findall(r"^([A-Z]\w*)=(.*)$", (FOLDER / unit).read_text(), re.MULTILINE)
    assert len(dict(lines)) == len(lines), unit
    return dict(lines)


def commands(unit: str) -> list[list[str]]:
    """The commands of `towpath` in a unit, without its path."""
    found = [shlex.split(value) for key, value in entries(unit).items() if key.startswith("Exec")]
    assert all(command[0] == TOWPATH for command in found)
    return [command[1:] for command in found]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, as they are where `towpath` is installed."""
    for unit in (*SERVICES, *SOCKETS):
        (tmp_path / unit).write_text((FOLDER / unit).read_text().replace(TOWPATH, str(BIN / "towpath")))
    return tmp_path


def analyzed(folder: Path, *words: str) -> str:
    """What `systemd-analyze` prints."""
    done = subprocess.run(
        ["systemd-analyze", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_there_is_nothing_else_in_the_folder() -> None:
    """A unit that no test reads."""
    assert {each.name for each in FOLDER.iterdir()} == {*SERVICES, *SOCKETS, "towpath.env"}


@needs_systemd
def test_systemd_takes_each_unit_without_a_word(installed: Path) -> None:
    """It would ignore a key that it does not know, and say so in a log."""
    assert analyzed(installed, "verify", "--man=no", *(f"./{unit}" for unit in (*SERVICES, *SOCKETS))) == ""
    broken = installed / "broken.service"
    broken.write_text((installed / "towpath.service").read_text().replace("NoNewPrivileges=", "NoMorePrivileges="))
    assert "NoMorePrivileges" in analyzed(installed, "verify", "--man=no", "./broken.service")


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_can_reach_little(installed: Path, unit: str) -> None:
    """The application of a worker is not ours, and has what it may write named."""
    said = analyzed(installed, "security", "--offline=yes", "--no-pager", f"./{unit}")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure is not None and float(exposure[1]) <= EXPOSURE_MAX, said


@pytest.mark.parametrize(("unit", "kind"), SERVICES.items())
def test_each_command_and_option_exists(unit: str, kind: str) -> None:
    """A flag that was renamed would be found out at night."""
    (first, *_), *more = commands(unit)
    assert first == kind and [command[0] for command in more] == ([RELOAD] if kind == SERVE else [])
    for command, *words in commands(unit):
        known = {flag for row in ROWS if command in row.commands for flag in row.flags.split("/")}
        assert {word for word in words if word.startswith("-")} <= known, command


def test_each_variable_is_that_of_an_option_or_of_app() -> None:
    """The file is the one that the units read, and none of it says where to listen: systemd passes a socket."""
    text = (FOLDER / "towpath.env").read_text()
    names = set(re.findall(r"^(\w+)=", text, re.MULTILINE))
    assert names == {"TOWPATH_APP", "TOWPATH_REDIS"} and names - {"TOWPATH_APP"} <= {row.env for row in ROWS}
    assert set(re.findall(r"TOWPATH_(?:HOST|PORT|UDS)\b", text)) <= {row.env for row in ROWS}
    assert {entries(unit)["EnvironmentFile"] for unit in SERVICES} == {"/etc/towpath.env"}


def test_a_service_is_not_killed_before_it_would_leave() -> None:
    """P7. By itself it leaves within the graceful timeout, its delays, and what a forced exit takes."""
    interface, worker = InterfaceSettings(), WorkerSettings()
    stop_s = {unit: int(entries(unit)["TimeoutStopSec"]) for unit in SERVICES}
    assert stop_s["towpath-interface.service"] >= interface.drain_delay_s + interface.graceful_timeout_s + 10
    assert stop_s["towpath-worker@.service"] >= worker.graceful_timeout_s + 10
    assert stop_s["towpath.service"] >= interface.graceful_timeout_s + worker.graceful_timeout_s + 20


def test_a_service_may_wait_for_redis_at_its_start_and_is_always_tried_again() -> None:
    """P9. A machine that boots starts all at once."""
    for unit in SERVICES:
        keys = entries(unit)
        assert int(keys["TimeoutStartSec"]) >= InterfaceSettings().redis.redis_wait_s + 20, unit
        assert (keys["Type"], keys["Restart"], keys["StartLimitIntervalSec"]) == ("notify", "always", "0"), unit


@pytest.mark.parametrize("unit", SOCKETS)
def test_a_service_gets_one_socket_with_its_own_backlog(unit: str) -> None:
    """Two would be refused."""
    keys = entries(unit)
    assert int(keys["Backlog"]) == InterfaceSettings().backlog and int(keys["ListenStream"]) == InterfaceSettings().port
    service = unit.replace(".socket", ".service")
    assert entries(service)["Requires"] == entries(service)["Also"] == unit
