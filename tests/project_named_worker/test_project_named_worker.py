"""A user's project may have a package `worker` and a module `interface_server`: it works unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.plain_http import PLAIN
from tests.support.serving import Server, redis_server, redis_url, towpath_interface, towpath_serve, towpath_worker

PROJECT = Path(__file__).parent / "project"
APP = "yard:application"

#: How people start things: in the project's folder, from elsewhere, or with the folder on PYTHONPATH.
PLACES: dict[str, dict[str, Any]] = {
    "in its folder": {"cwd": PROJECT},
    "from elsewhere": {"app_dir": PROJECT},
    "on PYTHONPATH": {"env": {"PYTHONPATH": str(PROJECT)}},
}


def assert_the_users_modules_were_found(server: Server) -> None:
    answer = httpx.get(server.url, **PLAIN, timeout=20)
    assert answer.status_code == 200, server.log
    assert answer.json() == {
        "roster": ["Ann", "Bob"],
        "tool": "adze",
        "office": "the office",
        "yard": "Hawkesbury",
        "layer": True,
    }


@pytest.mark.parametrize("place", PLACES)
def test_serve_leaves_the_names_of_a_project_to_the_project(tmp_path: Path, place: str) -> None:
    """The application finds its own modules, at import and later, and still finds `channel_layer`."""
    how = {"cwd": tmp_path, **PLACES[place]}
    with towpath_serve(APP, run_dir=tmp_path, **how) as server:
        assert_the_users_modules_were_found(server)


@contextlib.contextmanager
def interface_and_worker(run_dir: Path, place: str) -> Iterator[Server]:
    how = {"cwd": run_dir, **PLACES[place]}
    with (
        redis_server(run_dir / "redis") as redis,
        towpath_interface(redis_url(redis), run_dir=run_dir) as interface,
        towpath_worker(APP, redis_url(redis), run_dir=run_dir, **how),
    ):
        yield interface


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_leaves_the_names_of_a_project_to_the_project(tmp_path: Path, place: str) -> None:
    """The same of `towpath worker`, started by hand."""
    with interface_and_worker(tmp_path, place) as interface:
        assert_the_users_modules_were_found(interface)
