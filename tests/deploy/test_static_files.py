"""Django's admin has its CSS in each of the ways that docs/static-files.md shows: the lines there are put into a new project, and served.

The page links its style sheets; each of them must come, as what it is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.deploy.front_servers import fronted, param
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, environment, towpath_serve

DOCUMENT = (Path(__file__).parents[2] / "docs" / "static-files.md").read_text("utf-8")
SERVED = "DEBUG = False\nALLOWED_HOSTS = ['127.0.0.1']\n"
INTERFACES = ("asgi", "wsgi")


def lines_for(file: str) -> str:
    """The example of the document for this file of a project."""
    found = re.search(rf"```python\n# {file}, .*?\n(.+?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `django-admin startproject mysite` makes."""
    manage(tmp_path, "-m", "django", "startproject", "mysite", str(tmp_path))
    return tmp_path


def manage(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment({}), check=True, capture_output=True)


def append(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text('utf-8')}\n{text}")


def collected(project: Path, settings: str) -> Path:
    """The folder of the static files of a project whose settings end with these lines."""
    append(project / "mysite" / "settings.py", settings)
    manage(project, "manage.py", "collectstatic", "--no-input")
    return project / "static"


def serving(project: Path, interface: str) -> AbstractContextManager[Server]:
    return towpath_serve(f"mysite.{interface}", run_dir=project / "run", cwd=project)


def style_sheets(server: Server) -> list[httpx.Response]:
    """What the log-in page of the admin links, as it comes."""
    with httpx.Client(**PLAIN, timeout=20, base_url=server.url) as client:
        page = client.get("/admin/login/")
        assert page.status_code == 200
        links = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
        assert len(links) >= 3
        return [client.get(link) for link in links]


def assert_styled(server: Server) -> None:
    for sheet in style_sheets(server):
        assert sheet.status_code == 200, sheet.url
        assert sheet.headers["content-type"].startswith("text/css")
        assert "{" in sheet.text


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_admin_has_no_css_where_nothing_is_done(project: Path, interface: str) -> None:
    """What the document says first; here the others prove something."""
    with serving(project, interface) as server:
        assert {sheet.status_code for sheet in style_sheets(server)} == {404}


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_admin_has_its_css_during_development(project: Path, interface: str) -> None:
    """DEBUG is on in a new project."""
    lines = lines_for("asgi.py")
    if interface == "wsgi":
        lines = lines.replace("ASGIStaticFilesHandler", "StaticFilesHandler")
    append(project / "mysite" / f"{interface}.py", lines)
    with serving(project, interface) as server:
        assert_styled(server)


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_admin_has_its_css_by_whitenoise(project: Path, interface: str) -> None:
    """In production, without a proxy. The document names the one warning that there is, and why."""
    collected(project, SERVED + lines_for("settings.py"))
    with serving(project, interface) as server:
        assert_styled(server)
        warned = "StreamingHttpResponse must consume synchronous iterators"
        assert warned in DOCUMENT
        assert server.log.count("Warning: ") == server.log.count(f"Warning: {warned}") == (interface == "asgi")


@pytest.mark.parametrize("program", [param("nginx"), param("caddy")])
def test_the_admin_has_its_css_by_the_proxy(program: str, project: Path) -> None:
    """The lines that stand as comments in its file; the application is not asked."""
    static = collected(project, SERVED + lines_for("settings.py").splitlines()[0])
    with serving(project, "asgi") as server:
        assert {sheet.status_code for sheet in style_sheets(server)} == {404}
        with fronted(program, project, [server.port], static) as proxy:
            assert_styled(proxy)
