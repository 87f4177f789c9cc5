"""Finding the application: what is found, what kind it is, and one sentence for each way to be wrong."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from worker.application.loader import find_interface, load_application
from worker.errors import AppBroken, AppNotFound, AppUnclear, StartupError
from worker.settings import WorkerSettings


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with modules of the test's own; path and modules are put back afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(**modules: str) -> Path:
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


ASGI = "async def {}(scope, receive, send): pass\n"


@pytest.mark.parametrize(
    ("app", "source", "name"),
    [
        ("site_one:main", ASGI.format("main"), "site_one:main"),
        ("site_one", ASGI.format("application") + ASGI.format("app"), "site_one:application"),
        ("site_one", ASGI.format("app"), "site_one:app"),
        (
            "site_one:Holder.inner",
            "class Holder:\n    async def inner(scope, receive, send): pass",
            "site_one:Holder.inner",
        ),
    ],
)
def test_an_application_is_found_by_its_name(project, app, source, name):
    """module:attribute; the attribute defaults to `application`, then `app`, and may be dotted."""
    loaded = load_application(WorkerSettings(app=app, app_dir=str(project(site_one=source))))
    assert (loaded.name, loaded.interface) == (name, "asgi3")


@pytest.mark.parametrize("app", ["alias", "alias:", "alias:app"])
def test_a_module_that_stands_for_another_keeps_the_name_that_was_given(project, app):
    """Another process knows APP by nothing else, and would take it for another application."""
    folder = project(real=ASGI.format("app"), alias="import sys, real\nsys.modules[__name__] = real\n")
    assert load_application(WorkerSettings(app=app, app_dir=str(folder))).name == "alias:app"


def test_a_factory_is_called(project):
    """--factory: the attribute makes the application."""
    source = f"def create():\n    {ASGI.format('made')}    return made\n"
    loaded = load_application(
        WorkerSettings(app="site_one:create", app_dir=str(project(site_one=source)), factory=True)
    )
    assert loaded.interface == "asgi3"


@pytest.mark.parametrize(
    ("app", "source", "factory", "error", "words"),
    [
        ("site_one.app", "app = 3", False, AppNotFound, r"no module named 'site_one.app' .*; perhaps site_one:app$"),
        (".site_one:app", "", False, AppNotFound, "'.site_one' begins with a dot"),
        ("site_one:app", "def app(): pass", False, AppUnclear, "--factory"),
        (
            "site_one:app",
            "class app:\n    async def __call__(self, scope, receive, send): ...",
            False,
            AppUnclear,
            "a class .* --factory",
        ),
        (
            "site_one:app",
            "raise ValueError('1 error\\nDATABASE_URL is missing')",
            False,
            AppBroken,
            "1 error DATABASE_URL is missing ",
        ),
        ("site_one:app", "raise ValueError('x' * 1000)", False, AppBroken, r": x{400}… \(\S+site_one.py:1\)$"),
        (
            "site_one:app",
            "import json\n\njson.loads('{')",
            False,
            AppBroken,
            r"JSONDecodeError: .* \(\S+/json/decoder.py:\d+, from \S+site_one.py:3\)$",
        ),
        ("nowhere:app", "", False, AppNotFound, r"no module named 'nowhere' in \S+ or on the Python path"),
        ("site_one.sub:app", "", False, AppNotFound, "no module named 'site_one.sub'"),
        (
            "site_one:app",
            "import not_installed_x",
            False,
            AppBroken,
            r"'site_one' .*'not_installed_x' \(\S+site_one.py:1\)",
        ),
        ("site_one:app", "\n1/0", False, AppBroken, r"ZeroDivisionError: division by zero \(\S+site_one.py:2\)"),
        (
            "site_one:app",
            "raise ValueError(\"can't patch loop of type <class 'uvloop.Loop'>\")",
            False,
            AppBroken,
            r"site_one.py:1\); perhaps it needs --loop asyncio$",
        ),
        ("site_one:app", "def (", False, AppBroken, r"SyntaxError: .*site_one.py:1\)"),
        ("site_one:app", "import sys; sys.exit('no config')", False, AppBroken, "SystemExit: no config"),
        ("site_one:web", "", False, AppNotFound, r"'site_one' \(\S+site_one.py\) has no attribute 'web'"),
        ("site_one", "", False, AppNotFound, "neither 'application' nor 'app'"),
        ("site_one:app", "app = 3", False, AppUnclear, "site_one:app is of type int and cannot be called$"),
        (
            "site_one:HERE",
            f"import pathlib\nHERE = pathlib.Path('.')\n{ASGI.format('app')}",
            False,
            AppUnclear,
            "site_one:HERE is of type PosixPath and cannot be called; perhaps site_one:app$",
        ),
        (
            "site_one:wsgi",
            "import json as wsgi",
            False,
            AppUnclear,
            "site_one:wsgi is of type module and cannot be called; perhaps json$",
        ),
        ("site_one:web", ASGI.format("app"), False, AppNotFound, "has no attribute 'web'; perhaps site_one:app$"),
        ("site_one:app", "app = 3", True, AppUnclear, "no factory"),
        (
            "site_one:app",
            "def app(): raise OSError('disk')",
            True,
            AppBroken,
            r"factory site_one:app .*OSError: disk \(",
        ),
        pytest.param(
            "site_one:app",
            "async def app(): ...",
            True,
            AppUnclear,
            "factory site_one:app is an async function",
            marks=pytest.mark.filterwarnings("error"),
        ),
        (
            "site_one:app",
            "def app(): return None",
            True,
            AppUnclear,
            "what the factory site_one:app returned is of type NoneType and cannot be called$",
        ),
        ("site_one:app", "def app(): pass", False, AppUnclear, "--interface"),
        ("site_one:app", "def app(a, b, c, d): pass", False, AppUnclear, "--interface"),
        ("site_one.py:app", "", False, AppNotFound, "is a path: .*'site_one'"),
        ("src/site_one.py", "", False, AppNotFound, r"'site_one' with --app-dir src$"),
        ("/srv/site_one.py:app", "", False, AppNotFound, r"perhaps 'site_one' with --app-dir /srv$"),
        ("src/site_one.py", "", False, AppNotFound, r"is a path: .*'src\.site_one'"),
        (":app", "", False, AppNotFound, "names no module"),
        ("", "", False, AppNotFound, "names no module"),
    ],
)
def test_a_wrong_application_is_one_clear_sentence(project, app, source, factory, error, words):
    """P12. Exit code 3, and the text names what was tried and where."""
    settings = WorkerSettings(app=app, app_dir=str(project(site_one=source)), factory=factory)
    with pytest.raises(error, match=words) as caught:
        load_application(settings)
    assert isinstance(caught.value, StartupError)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    """--app-dir with a slip of the pen."""
    with pytest.raises(AppNotFound, match=r"gone does not exist \(--app-dir\)"):
        load_application(WorkerSettings(app="x:y", app_dir=str(tmp_path / "gone")))


async def asgi3(scope, receive, send): ...
def sync_asgi3(scope, receive, send): ...
def asgi2(scope): ...
def wsgi(environ, start_response): ...


class Asgi3:
    async def __call__(self, scope, receive, send): ...


class Asgi3Endpoint:
    def __init__(self, scope, receive, send): ...
    def __await__(self): ...


class Asgi2:
    def __init__(self, scope): ...
    async def __call__(self, receive, send): ...


class Wsgi:
    def __call__(self, environ, start_response): ...


class WsgiClass:
    def __init__(self, environ, start_response): ...
    def __iter__(self): ...


@functools.wraps(asgi3)
def wrapped(*args, **kwargs):
    return asgi3(*args, **kwargs)


@pytest.mark.parametrize(
    ("target", "interface"),
    [
        (asgi3, "asgi3"),
        (sync_asgi3, "asgi3"),
        (Asgi3(), "asgi3"),
        (Asgi3().__call__, "asgi3"),
        (Asgi3Endpoint, "asgi3"),
        (functools.partial(asgi3), "asgi3"),
        (wrapped, "asgi3"),
        (lambda *args: None, None),
        (asgi2, "asgi2"),
        (Asgi2, "asgi2"),
        (wsgi, "wsgi"),
        (Wsgi(), "wsgi"),
        (WsgiClass, "wsgi"),
    ],
)
def test_the_kind_of_an_application_is_found_out(target, interface):
    """By what it is, then by what it takes; where both say nothing, the operator is asked."""
    if interface is None:
        with pytest.raises(AppUnclear):
            find_interface(target, "it")
    else:
        assert find_interface(target, "it") == interface


def test_real_frameworks_are_found_out():
    """Django, both kinds, Flask, Starlette and FastAPI."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"])
        django.setup()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette

    found = [
        find_interface(target, "it")
        for target in (get_asgi_application(), get_wsgi_application(), Flask("x"), Starlette(), FastAPI())
    ]
    assert found == ["asgi3", "wsgi", "wsgi", "asgi3", "asgi3"]


def test_an_interface_that_was_said_is_not_guessed(project):
    """--interface overrules what the arguments look like."""
    source = "def app(*args): pass"
    settings = WorkerSettings(app="site_one:app", app_dir=str(project(site_one=source)), interface="wsgi")
    assert load_application(settings).interface == "wsgi"
