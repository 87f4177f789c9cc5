"""Django, unmodified: the admin over sessions and CSRF, static files, sync and async views, uploads and downloads."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import django.contrib.admin  # type: ignore[import-untyped]  # Django brings no types
import httpx
import pytest

from tests.applications.rude_clients import request_head, reset
from tests.applications.served import KINDS, PROJECTS, served
from tests.support.serving import Server, environment

SITE = PROJECTS / "django_site"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with one user, made by Django's own commands."""
    path = tmp_path_factory.mktemp("site") / "site.sqlite3"
    env = environment({"SITE_DATABASE": str(path), "PYTHONPATH": str(PROJECTS)})
    subprocess.run([sys.executable, "prepare.py"], cwd=SITE, env=env, check=True)
    return path


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: Path
) -> Iterator[Server]:
    run_dir = tmp_path_factory.mktemp(f"django-{request.param}")
    own = shutil.copy(database, run_dir / "site.sqlite3")
    with served(request.param, "asgi:application", run_dir, cwd=SITE, env={"SITE_DATABASE": str(own)}) as server:
        yield server


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found, "the form has no CSRF token"
    return found.group(1)


def log_in(client: httpx.Client, password: str = "aye-aye") -> httpx.Response:
    page = client.get("/admin/login/", params={"next": "/admin/"})
    assert page.status_code == 200
    fields = {"username": "skipper", "password": password, "next": "/admin/", "csrfmiddlewaretoken": form_token(page)}
    return client.post("/admin/login/", data=fields)


def test_the_admin_lets_its_user_in_and_out(client: httpx.Client) -> None:
    """Sessions in the database, cookies, CSRF, redirects, templates, and a form that writes: in one sitting."""
    assert client.get("/admin/").status_code == 302
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
    assert client.cookies["sessionid"]
    index = client.get("/admin/")
    assert index.status_code == 200
    assert "skipper" in index.text
    page = client.get("/admin/auth/group/add/")
    saved = client.post("/admin/auth/group/add/", data={"name": "crew", "csrfmiddlewaretoken": form_token(page)})
    assert saved.status_code == 302
    assert "crew" in client.get("/admin/auth/group/").text
    assert client.post("/admin/logout/", data={"csrfmiddlewaretoken": form_token(index)}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_a_wrong_password_is_refused(client: httpx.Client) -> None:
    answer = log_in(client, "nay")
    assert answer.status_code == 200
    assert "sessionid" not in client.cookies


def test_a_form_without_its_csrf_token_is_refused(client: httpx.Client) -> None:
    client.get("/admin/login/")
    assert client.post("/admin/login/", data={"username": "skipper", "password": "aye-aye"}).status_code == 403


def test_static_files_are_served_with_types_and_validators(client: httpx.Client) -> None:
    source = Path(django.contrib.admin.__file__).parent / "static/admin/css/base.css"
    answer = client.get("/static/admin/css/base.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.content == source.read_bytes()
    again = client.get("/static/admin/css/base.css", headers={"if-modified-since": answer.headers["last-modified"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/site.css").text == (SITE / "site_assets/site.css").read_text()
    assert client.get("/static/none.css").status_code == 404


def test_sync_and_async_views_answer_side_by_side(client: httpx.Client) -> None:
    sync, coroutine = client.get("/sync/?name=Ann").json(), client.get("/async/?name=Bob").json()
    assert (sync["view"], sync["name"]) == ("sync", "Ann")
    assert sync["thread"] != "MainThread", "sync code never runs on the loop's thread"
    assert coroutine == {"name": "Bob", "loop": True, "view": "async"}
    assert client.get("/sync?name=Ann").headers["location"] == "/sync/?name=Ann"


def test_an_async_view_asks_the_database(client: httpx.Client) -> None:
    assert client.get("/users/").json() == {"users": ["skipper"]}


def test_a_file_of_20_mb_is_uploaded_through_a_form(client: httpx.Client) -> None:
    content = bytes(range(256)) * (20_000_000 // 256)
    answer = client.post("/upload/", data={"note": "grüße"}, files={"file": ("cargo.bin", content)}).json()
    assert answer == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "note": "grüße"}


def test_a_body_of_20_mb_is_read_as_it_is(client: httpx.Client) -> None:
    content = bytes(range(256)) * (20_000_000 // 256)
    answer = client.post("/upload-raw/", content=content, headers={"content-type": "application/octet-stream"}).json()
    assert answer == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


@pytest.mark.parametrize(("path", "letter"), [("/download/", b"s"), ("/download-async/", b"a")])
def test_a_streamed_download_is_whole(client: httpx.Client, path: str, letter: bytes) -> None:
    """From a sync and from an async generator."""
    hasher = hashlib.sha256()
    with client.stream("GET", path, params={"size": 20_000_001}) as answer:
        assert answer.status_code == 200
        for part in answer.iter_raw():
            hasher.update(part)
    assert hasher.hexdigest() == hashlib.sha256(letter * 20_000_001).hexdigest()


def test_an_async_stream_reaches_the_client_part_by_part(client: httpx.Client, other: httpx.Client) -> None:
    with client.stream("GET", "/stream/parts/") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        assert other.post("/ring/parts/").status_code == 204
        assert b"".join(parts) == b"second"


def test_a_client_that_leaves_a_stream_ends_it(client: httpx.Client, other: httpx.Client) -> None:
    with client.stream("GET", "/endless/stream/") as answer:
        assert next(answer.iter_raw()) == b"first"
    assert other.get("/heard/stream/").text == "rung"


def test_a_view_whose_client_left_is_cancelled(client: httpx.Client, server: Server) -> None:
    """Django listens for the disconnect event while a view runs."""
    leaver: socket.socket = server.connect()
    leaver.sendall(request_head("GET", "/slow/view/").replace(b"Host: boat", b"Host: localhost"))
    assert client.get("/heard/view-started/").text == "rung"
    reset(leaver)
    assert client.get("/heard/view/").text == "cancelled"


def test_a_view_that_raises_gives_500_and_the_next_request_is_served(client: httpx.Client, server: Server) -> None:
    assert client.get("/fail/").status_code == 500
    assert client.get("/sync/").status_code == 200
    server.wait_for_log("LookupError: this view always fails")
