"""Startup and shutdown of the application in its worker process."""

from __future__ import annotations

import asyncio
import sys

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from tests.support.facts import until
from worker.asgi.lifespan import PHASE_MOVES, Phase, PhaseState
from worker.errors import LifespanFailed, WrongOrder

COMPLETE = {"type": "lifespan.startup.complete"}


def living(startup=COMPLETE, shutdown=None, heard=None):
    """An application with a lifespan; `heard` gets the scope's state and the events."""

    async def application(scope, receive, send):
        if scope["type"] != "lifespan":
            heard.append(scope["state"])
            scope["state"]["own"] = 1
            return
        scope["state"]["pool"] = ["shared"]
        heard.append((await receive())["type"])
        await send(startup)
        heard.append((await receive())["type"])
        await send(shutdown or {"type": "lifespan.shutdown.complete"})

    return application


@pytest.mark.parametrize("before", PhaseState)
@pytest.mark.parametrize("after", PhaseState)
async def test_a_phase_is_asked_once_and_answered_once(before, after):
    """By the table: a move that it does not have raises, and changes nothing."""
    phase = Phase("startup", asyncio.get_running_loop())
    moves = {
        PhaseState.ASKED: phase.ask,
        PhaseState.ANSWERED: lambda: phase.accept_answer("lifespan.startup.complete", COMPLETE),
    }
    for state in PhaseState:
        if state is not PhaseState.NOT_ASKED and state.value <= before.value:
            moves[state]()
    assert phase.state is before
    if after in PHASE_MOVES[before]:
        moves[after]()
        assert phase.state is after
    elif after in moves:
        # The application sends answers; requests are our own.
        error, text = (
            (WrongOrder, "cannot be sent now") if after is PhaseState.ANSWERED else (IllegalMove, f"from {before.name}")
        )
        with pytest.raises(error, match=text):
            moves[after]()
        assert phase.state is before
    assert (phase.asked.done(), phase.answer.done()) == (phase.state.value > 1, phase.state.value > 2)


async def test_startup_and_shutdown_run_once_each(hosts):
    """Once per worker process, and shutdown is waited for."""
    heard = []
    host = await hosts.open(living(heard=heard), lifespan="auto")
    assert heard == ["lifespan.startup"]
    await host.shutdown()
    assert heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_each_scope_has_a_shallow_copy_of_the_state(hosts, new_downstream, http_scope):
    """What one connection puts in is not seen by the next; what startup made is shared."""
    heard = []
    host = await hosts.open(living(heard=heard), lifespan="on")
    for _ in range(2):
        downstream = new_downstream()
        host.start(http_scope(), b"", False, downstream)
        await downstream.over()
    first, second = heard[1:]
    assert second["pool"] is first["pool"]
    assert set(second) == {"pool", "own"} and first is not second


async def raising(scope, receive, send):
    raise KeyError("what is a lifespan?")


async def silent(scope, receive, send):
    return


@pytest.mark.parametrize("application", [raising, silent])
async def test_an_application_without_lifespan_starts_under_auto_and_not_under_on(hosts, application):
    """ASGI: an exception means that lifespan is not supported. `--lifespan on` insists."""
    await hosts.open(application, lifespan="auto")
    with pytest.raises(LifespanFailed, match="--lifespan is on"):
        await hosts.open(application, lifespan="on")


async def failing(scope, receive, send):
    await receive()
    raise ConnectionError("no database")


async def test_a_startup_that_fails_without_saying_so_is_told_with_its_traceback(hosts, caplog):
    """It took the question, so it knows lifespan. Under auto it is served all the same; its operator must hear of it."""
    await hosts.open(failing, lifespan="auto")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "in failing" in caplog.text and "ConnectionError: no database" in caplog.text


async def test_under_on_a_startup_that_raises_shows_its_traceback_once(hosts, caplog):
    """The sentence alone does not say where."""
    with pytest.raises(LifespanFailed, match="raised ConnectionError: no database"):
        await hosts.open(failing, lifespan="on")
    assert caplog.text.count("Traceback") == 1 and "in failing" in caplog.text


async def test_a_startup_that_leaves_the_process_is_a_failure_with_a_sentence(hosts, caplog):
    """Under auto too: whoever calls sys.exit() does not want to be served."""

    async def leaving(scope, receive, send):
        sys.exit(5)

    with pytest.raises(LifespanFailed, match=r"called sys\.exit\(5\)"):
        await hosts.open(leaving, lifespan="auto")
    assert "in leaving" in caplog.text


async def test_a_startup_that_is_cut_cancels_the_application(hosts):
    """Who is asked to leave meanwhile has nothing to wait for."""
    heard = []

    async def waiting(scope, receive, send):
        heard.append(await receive())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    opening = asyncio.create_task(hosts.open(waiting, lifespan="auto"))
    await until(lambda: heard)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert heard[1:] == ["cancelled"]


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_a_failed_startup_ends_the_worker_with_its_reason(hosts, mode, caplog):
    """Even under auto: the application knows lifespan and said no. The sentence is the message's last line."""
    failed = {"type": "lifespan.startup.failed", "message": "Traceback …\nConnectionError: no database"}
    with pytest.raises(LifespanFailed, match=r"failed: ConnectionError: no database$"):
        await hosts.open(living(startup=failed, heard=[]), lifespan=mode)
    assert "Traceback" in caplog.text


async def test_a_startup_that_never_answers_is_a_failure(hosts):
    """Rather than a worker that is up and takes nothing."""

    async def application(scope, receive, send):
        await asyncio.Event().wait()

    with pytest.raises(LifespanFailed, match=r"within 0\.05 s"):
        await hosts.open(application, lifespan="auto", lifespan_timeout_s=0.05)


async def test_a_shutdown_that_fails_or_hangs_is_logged_and_cut(hosts, caplog):
    """The process leaves anyway; the log says why the shutdown was not clean."""
    failed = {"type": "lifespan.shutdown.failed", "message": "still writing"}
    host = await hosts.open(living(shutdown=failed, heard=[]), lifespan="on")
    await host.shutdown()
    assert "still writing" in caplog.text

    async def application(scope, receive, send):
        await send(COMPLETE)
        await asyncio.Event().wait()

    host = await hosts.open(application, lifespan="on", lifespan_timeout_s=0.05)
    await host.shutdown()
    assert "did not answer within 0.05 s" in caplog.text


async def test_off_never_calls_the_application(hosts):
    """Nor does a WSGI application ever see a lifespan."""
    calls = []

    async def application(scope, receive, send):
        calls.append(scope)

    await hosts.open(application, lifespan="off")
    await hosts.open(lambda environ, start_response: calls.append(environ), lifespan="on")
    assert calls == []


async def test_an_asgi2_application_has_its_lifespan_too(hosts):
    """The scope goes to the maker, the events to the instance."""
    heard = []

    class Application:
        def __init__(self, scope):
            heard.append(scope["type"])

        async def __call__(self, receive, send):
            heard.append((await receive())["type"])
            await send(COMPLETE)

    await hosts.open(Application, lifespan="on")
    assert heard == ["lifespan", "lifespan.startup"]


async def test_an_unknown_answer_raises_inside_the_application(hosts):
    """P12. As everywhere, nonsense is refused where it is said."""
    raised = []

    async def application(scope, receive, send):
        for event in ({"type": "lifespan.ready"}, {"type": "lifespan.shutdown.complete"}):
            try:
                await send(event)
            except Exception as error:
                raised.append(type(error).__name__)
        await send(COMPLETE)

    await hosts.open(application, lifespan="on")
    assert raised == ["InvalidEvent", "WrongOrder"]
