"""What supervisord is told."""

from __future__ import annotations

import dataclasses
import os
import resource
import socket
from pathlib import Path

import pytest

from interface_server.settings import InterfaceSettings
from tests.support.facts import wait_until
from towpath.errors import StartFailure
from towpath.runtime import listen_address
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.supervisord.launch import Launch

DEPLOY = Path(__file__).parents[3] / "deploy" / "supervisord.conf"
PLAN = Plan(
    command=("towpath",), app="module:application", run_dir="/run/towpath", socket="tcp://127.0.0.1:8000"
)  # fmt: skip


def test_the_configuration_that_people_read_is_the_one_that_is_generated() -> None:
    """deploy/supervisord.conf is what `serve` writes with all options at their defaults."""
    shown = [line for line in DEPLOY.read_text().splitlines() if not line.startswith(";")]
    assert "\n".join(shown).strip() == supervisord_conf.render(PLAN).strip()


def test_interface_servers_leave_before_workers_and_the_embedded_server_last() -> None:
    """supervisord stops the highest priority first: interface servers that drain still have workers to answer."""
    text = supervisord_conf.render(PLAN)
    order = [line for line in text.splitlines() if line.startswith(("[program", "[fcgi", "priority"))]
    assert order == [
        "[program:redis]", "priority=10", "[fcgi-program:interface]", "priority=30", "[program:worker]", "priority=20",
    ]  # fmt: skip


def test_a_descriptor_is_handed_down_where_supervisord_cannot_listen() -> None:
    """IPv6, any free port, `--fd`: the number is one that supervisord does not close."""
    text = supervisord_conf.render(dataclasses.replace(PLAN, socket=None, descriptor=200))
    assert "[program:interface]\ncommand=towpath interface --fd 200\n" in text
    assert f"minfds={200}" in text


def test_a_unix_socket_has_the_permissions_that_were_asked_for_or_those_of_the_one_before_it(tmp_path: Path) -> None:
    """One that was made narrow beforehand is not widened by a start."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(0o660)
    for asked, mode in (("", "0660"), ("", "0666"), ("600", "0600")):  # the second time nothing is there any more
        place = listen_address.prepare(InterfaceSettings(uds=str(path), uds_permissions=asked))
        plan = dataclasses.replace(PLAN, socket=place.supervised, socket_permissions=place.permissions)
        assert f"\nsocket_mode={mode}\n" in supervisord_conf.render(plan)


def test_a_percent_sign_in_a_path_is_no_expansion() -> None:
    """supervisord expands `%(…)s` in its values."""
    text = supervisord_conf.render(dataclasses.replace(PLAN, run_dir="/tmp/50%s"))
    assert "file=/tmp/50%%s/supervisord.sock" in text
    assert "stdout_logfile=/tmp/50%%%%s/logs/worker-%(process_num)d" in text  # expanded twice


def test_workers_enter_the_folder_of_serve_by_its_name_if_the_format_can_hold_it() -> None:
    """P7. What stands behind the name may be another release by then."""
    assert "\ndirectory=/srv/current\n" in supervisord_conf.render(
        dataclasses.replace(PLAN, working_directory="/srv/current")
    )
    assert "directory=" not in supervisord_conf.render(dataclasses.replace(PLAN, working_directory="/srv/a ;b"))


@pytest.mark.parametrize("run_dir", ["/tmp/a ;b", "/tmp/a #b", "/tmp/a\nb"])
def test_what_the_format_cannot_hold_is_refused(run_dir: str) -> None:
    """The format has comments that no quotes protect from."""
    with pytest.raises(StartFailure):
        supervisord_conf.render(dataclasses.replace(PLAN, run_dir=run_dir))


def test_supervisord_needs_no_folder_for_temporary_files(tmp_path: Path) -> None:
    """P12. In a container that can be written in its run folder alone there is none."""
    for folder in ("pids", "logs"):
        (tmp_path / folder).mkdir()
    user = "root" if os.geteuid() == 0 else None
    plan = dataclasses.replace(PLAN, run_dir=str(tmp_path), socket=None, descriptor=0, embedded=False, user=user)
    (tmp_path / "supervisord.conf").write_text(supervisord_conf.render(plan))
    launch = Launch()
    resource.prlimit(launch.pid, resource.RLIMIT_FSIZE, (0, 0))  # so no folder is fit for temporary files
    supervisord = launch.run(tmp_path / "supervisord.conf", os.environ, [], None)
    try:
        wait_until(lambda: (tmp_path / "supervisord.sock").is_socket() or supervisord.poll() is not None)
        assert supervisord.poll() is None
    finally:
        supervisord.kill()
        said, _ = supervisord.communicate()
    assert b"Traceback" not in said, said.decode()
