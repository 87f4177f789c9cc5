"""What of an application runs before it serves finds the loop that will serve; and nothing of that costs an application its start."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from tests.support.facts import until
from worker.application.loader import LoadedApplication, load_application
from worker.errors import AppBroken
from worker.lifecycle.event_loop import LoopRunner
from worker.settings import WorkerSettings

#: In front of each project: an application, and a task that tells that it runs, and in which loop.
BEGINNING = """
import asyncio, contextvars
loops, variable = [], contextvars.ContextVar("variable")

async def work():
    loops.append(asyncio.get_running_loop())

async def app(scope, receive, send): ...

def create():
    begin()
    return app
"""


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def load(request, tmp_path, monkeypatch):
    """Load a project with `source`, and then run its loop until a fact is true of it."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def load(source: str, fact: Callable[[Any], object], factory: bool = False) -> LoadedApplication:
        (tmp_path / "site_one.py").write_text(BEGINNING + source)
        settings = WorkerSettings(
            app=f"site_one:{'create' if factory else 'app'}", app_dir=str(tmp_path), factory=factory
        )
        with contextlib.closing(LoopRunner(request.param)) as loop:
            loaded = load_application(settings, loop.call)

            async def main() -> None:
                project = sys.modules["site_one"]
                await until(lambda: fact(project))
                assert set(project.loops) <= {asyncio.get_running_loop()}

            loop.run(main())
        return loaded

    yield load
    sys.modules.pop("site_one", None)


@pytest.mark.parametrize(
    "source",
    [
        "task = asyncio.get_event_loop().create_task(work())",
        "task = asyncio.create_task(work())",
        "asyncio.get_running_loop()\ntask = asyncio.ensure_future(work())",
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_task_that_a_module_makes_while_it_is_imported_runs_afterwards(load, source):
    """Whether it asks for the current loop or for the running one."""
    load(source, lambda project: project.loops)


@pytest.mark.filterwarnings("error")
def test_a_factory_is_called_within_the_loop_that_serves(load):
    """As under uvicorn; and what it sets in its context is kept."""
    source = (
        "def begin():\n    global task\n    task = asyncio.create_task(work())\n    variable.set('of the factory')\n"
    )
    loaded = load(source, lambda project: project.loops, factory=True)
    assert "of the factory" in loaded.context.values()


@pytest.mark.parametrize("factory", [False, True], ids=["import", "factory"])
@pytest.mark.parametrize("call", ["asyncio.run(work())", "asyncio.new_event_loop().run_until_complete(work())"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the second one is not closed
def test_async_code_that_runs_to_its_end_while_loading_may_do_so(load, call, factory):
    """As under gunicorn, and as for whoever prepares a database: its own loop then, or before ours runs."""
    source = f"async def work(): loops.clear()\ndone = []\ndef begin():\n    {call}\n    done.append(1)\n"
    load(source + "begin()\n" * (not factory), lambda project: project.done, factory)


def test_the_loop_that_serves_may_be_run_while_loading(load):
    """`get_event_loop().run_until_complete()`: what older applications begin with."""
    load("asyncio.get_event_loop().run_until_complete(work())", lambda project: project.loops)


@pytest.mark.parametrize("factory", [False, True], ids=["import", "factory"])
def test_other_errors_are_told_and_nothing_is_loaded_twice(load, factory, capsys):
    """P12. Only an error that speaks of a running loop, or of none, is a reason for a second attempt."""
    source = "def begin():\n    print('begun')\n    raise RuntimeError('no database')\n" + "begin()\n" * (not factory)
    with pytest.raises(AppBroken, match="RuntimeError: no database"):
        load(source, bool, factory)
    assert capsys.readouterr().out == "begun\n"


def test_django_may_use_its_database_while_it_is_imported(load):
    """Its guard refuses that in a running loop. `AppConfig.ready()` and URLs ask for settings, or forms for their choices."""
    source = "from django.utils.asyncio import async_unsafe\n@async_unsafe\ndef query(): return 7\nfound = query()\n"
    load(source, lambda project: project.found == 7)
