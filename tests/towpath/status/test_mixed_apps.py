"""What keeps deployments apart that share a Redis: the database, the prefix, and a start that is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from channel_layer.protocol.codec import pack
from channel_layer.protocol.deployment import another_application, same_application
from channel_layer.settings import RedisSettings
from tests.promises.fleet import leases_at
from tests.support.both_dispatchers import RecordedHost, interface, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, environment, free_port, towpath_worker, wait_until
from worker.connections.dispatcher import Dispatcher
from worker.errors import MixedApps
from worker.settings import WorkerSettings

APPLICATION = "async def app(scope, receive, send):\n    raise NotImplementedError\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("shop", "yard"):
        (tmp_path / f"{name}.py").write_text(APPLICATION)
    return tmp_path


def towpath(project: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "towpath", *words, "--app-dir", project],
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_another_app_under_the_same_prefix_is_refused_in_one_sentence(project: Path, own_redis: RedisServer) -> None:
    """P12. Each would get connections of the other. The same APP may be written in other ways, and stand in another folder."""
    url = own_redis.url
    with towpath_worker("shop", url, app_dir=project, run_dir=project / "shop") as first:
        wait_until(lambda: len(leases_at(url)) == 1, "the first worker stands", server=first)
        assert leases_at(url)[0]["app"] == "shop:app"
        run_dir, port = project / "run", str(free_port())
        refused = [
            towpath(project, "worker", "yard", "--redis", url),
            towpath(project, "serve", "yard:app", "--redis", url, "--port", port, "--run-dir", str(run_dir)),
        ]
        for process in refused:
            said, _ = process.communicate(timeout=40)
            (sentence,) = said.splitlines()
            assert process.returncode == 3
            assert "'shop:app'" in sentence and "--prefix" in sentence and "--allow-mixed-apps" in sentence
        assert not run_dir.exists()
        allowed = ("--allow-mixed-apps",)
        with (
            towpath_worker("shop:app", url, app_dir=project, run_dir=project / "again") as again,
            towpath_worker("yard", url, app_dir=project, run_dir=project / "yard", options=allowed) as other,
        ):
            wait_until(lambda: len(leases_at(url)) == 3, "all three stand", server=other)
            assert again.process.poll() is None
            shown = subprocess.run([BIN / "towpath", "status", "--redis", url], capture_output=True, text=True)
            finding, _, _, heading, *rows = shown.stdout.splitlines()
            assert finding == "ERROR:   no interface server is alive: clients cannot connect"
            assert "APP" in heading.split()
            assert sum("shop:app" in row for row in rows) == 2 and sum("yard:app" in row for row in rows) == 1


def serving(redis_settings: RedisSettings, app: str, found: str = "") -> Dispatcher:
    """The dispatcher of a worker with this APP, which was found to be `found`."""
    named = dataclasses.replace(redis_settings, app=found or app)
    return Dispatcher(WorkerSettings(redis=named, app=app), RecordedHost(), Counter())


async def test_of_two_apps_that_start_at_the_same_moment_at_least_one_is_refused(redis_settings: RedisSettings) -> None:
    """P12. Neither finds the other before it starts; so each looks again when its own lease is written."""

    dispatchers = [serving(redis_settings, "shop:app"), serving(redis_settings, "yard:app")]
    outcomes = await asyncio.gather(*(each.start() for each in dispatchers), return_exceptions=True)
    assert any(isinstance(outcome, MixedApps) for outcome in outcomes)
    for each in dispatchers:
        await each.close()
    again = serving(redis_settings, "yard:app")
    await again.start()  # nothing is left of the refused ones
    await again.close()


async def test_an_attribute_that_app_does_not_name_may_be_renamed_by_a_reload(redis_settings: RedisSettings) -> None:
    """P12. `towpath serve shop` finds `app`, and after a change of the file `application`: one deployment all the same."""
    old, new = serving(redis_settings, "shop", "shop:app"), serving(redis_settings, "shop", "shop:application")
    for each in (old, new):
        await each.start()
    for each in (old, new):
        await each.close()


@pytest.mark.parametrize("apart", ["database", "prefix", "prefix that continues the other"])
async def test_two_deployments_on_one_redis_never_meet_in_groups_news_and_probes(
    redis_settings: RedisSettings, caplog: pytest.LogCaptureFixture, apart: str
) -> None:
    """P10. What is published reaches all databases of a server, so number and prefix are in the names: of groups, news and probes."""
    caplog.set_level(logging.WARNING, "towpath")
    heard: list[tuple[int, str]] = []
    other = {
        "database": dataclasses.replace(redis_settings, url=f"{redis_settings.url}?db=1"),
        "prefix": dataclasses.replace(redis_settings, prefix=f"other-{redis_settings.prefix}"),
        "prefix that continues the other": dataclasses.replace(
            redis_settings, prefix=f"{redis_settings.prefix}group:0:"
        ),
    }[apart]
    async with interface(redis_settings) as here, interface(other) as there:
        for number, dispatcher in enumerate((here, there)):
            dispatcher.node._groups._observer.on_group_message = lambda _group, event, number=number: heard.append(
                (number, event["type"])
            )
            await dispatcher.node.subscribe("g")
        await here.node.publish("g", pack({"type": "here"}))
        await there.node.publish("g", pack({"type": "there"}))
        await until(lambda: len(heard) == 2)
        here.node._peers.announce("dead", there.node.name)
        await here.node.publish("g", pack({"type": "behind"}))
        await there.node.publish("g", pack({"type": "behind"}))
        await until(lambda: len(heard) == 4)
        assert heard[:2] == [(0, "here"), (1, "there")]
        assert not caplog.messages
        names = [
            {keys.group("g"), keys.news, keys.probe("n")} for keys in (here.node.context.keys, there.node.context.keys)
        ]
        assert not names[0] & names[1]
        for dispatcher in (here, there):
            assert {*await dispatcher.node.leases()} == {dispatcher.node.name}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("main", "main:app", True),
        ("main", "main:application", True),
        ("main:app", "main:app", True),
        ("main", "main", True),
        ("main:app", "main:application", False),
        ("main", "main:create_app", False),
        ("main:app", "site.main:app", False),
    ],
)
def test_an_app_is_the_same_however_it_is_written(one: str, other: str, same: bool) -> None:
    """`main` may be `main:app`; a folder is no part of it, as a reload may serve another one."""
    assert same_application(one, other) is same_application(other, one) is same


def test_a_process_that_names_no_app_is_no_reason_to_refuse_anybody() -> None:
    """Interface servers that run alone, workers in other languages, leases that are nonsense; and one that was allowed to mix."""
    leases = [{}, {"app": ""}, {"app": 7}, {"app": "yard", "mixed_apps": True}, {"app": "main:app"}]
    assert another_application("main", leases) is None
    assert another_application("other", leases) is leases[4]


async def test_a_worker_says_its_app_and_its_fleet_in_its_lease(redis_settings: RedisSettings) -> None:
    """`status` shows which processes belong together."""
    named = dataclasses.replace(redis_settings, app="shop:app", generation="web/7")
    async with worker(named, RecordedHost()) as dispatcher:
        (said,) = (await dispatcher.node.leases()).values()
        assert (said["app"], said["fleet"]) == ("shop:app", "web")
