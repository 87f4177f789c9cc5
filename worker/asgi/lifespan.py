"""Runs the application's lifespan: startup and shutdown, once per worker process.

Not every application knows lifespan, and ASGI has no way to ask: the server tries, and an exception before the first answer
means that the application does not know it. So under `auto` an exception is no failure, while `lifespan.startup.failed`
always is, and so is `sys.exit()`. An application that has received the event and then raises probably knew it: that is logged
with its traceback. The state that an application leaves is copied, shallowly, into each scope.

Source: ASGI specification, "Lifespan Protocol".
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future, Task
from contextvars import Context
from enum import Enum, auto
from typing import Any

from channel_layer.protocol.events import Event
from channel_layer.protocol.illegal_move import legal_move
from worker.asgi.instance import Application
from worker.errors import InvalidEvent, LifespanFailed, WrongOrder
from worker.settings import WorkerSettings

logger = logging.getLogger("towpath.worker")

END_TIMEOUT_S = 1.0  #: how long to wait for the task to end, after its last answer and after its cancellation


class PhaseState(Enum):
    """How far a phase is."""

    NOT_ASKED = auto()
    ASKED = auto()
    ANSWERED = auto()


NOT_ASKED, ASKED, ANSWERED = PhaseState

#: From each state to those that may follow.
PHASE_MOVES: dict[PhaseState, tuple[PhaseState, ...]] = {NOT_ASKED: (ASKED,), ASKED: (ANSWERED,), ANSWERED: ()}


class Phase:
    """One request to the application, startup or shutdown, and its answer: "" for complete, else the reason."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.state = NOT_ASKED
        self.asked: Future[None] = loop.create_future()
        self.answer: Future[str] = loop.create_future()

    def ask(self) -> None:
        """Let the application receive the request, now or when it calls `receive()`. Raises IllegalMove at a second call."""
        self._enter(ASKED)
        self.asked.set_result(None)

    def accept_answer(self, kind: str, event: Event) -> bool:
        """Accept `event` if it answers this phase. False: it does not. Raises WrongOrder before the request and after an answer."""
        if kind not in (f"lifespan.{self.name}.complete", f"lifespan.{self.name}.failed"):
            return False
        if ANSWERED not in PHASE_MOVES[self.state]:
            raise WrongOrder(f"{kind!r} cannot be sent now")
        self._enter(ANSWERED)
        failed = kind.endswith(".failed")
        self.answer.set_result(str(event.get("message") or "").strip() or "no reason was given" if failed else "")
        return True

    def _enter(self, state: PhaseState) -> None:
        """Move on to `state`. Raises IllegalMove if the table has no such move: an error in this program."""
        self.state = legal_move(PHASE_MOVES, self.state, state, f"lifespan.{self.name}")


class Lifespan:
    """The lifespan of the application in this process."""

    def __init__(self, application: Application, asgi: Event, settings: WorkerSettings, context: Context) -> None:
        loop = asyncio.get_running_loop()
        self._application = application
        self._mode = settings.lifespan
        self._timeout_s = settings.lifespan_timeout_s
        self._context = context
        self._state: Event = {}
        self._scope: Event = {"type": "lifespan", "asgi": asgi, "state": self._state}
        self._startup, self._shutdown = Phase("startup", loop), Phase("shutdown", loop)
        self._received = 0
        self._task: Task[None] | None = None

    def skip(self) -> None:
        """Run no lifespan: the application's interface has none."""
        self._mode = "off"

    async def startup(self) -> Event | None:
        """Ask the application to start, in a context of its own. Returns its state, or None if it has no lifespan.

        Raises LifespanFailed if the application answered so, did not answer in time, called sys.exit(), or, under `on`, does
        not know lifespan. A cancellation cancels the application too.
        """
        if self._mode == "off":
            return None
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name="lifespan", context=self._context)
        self._startup.ask()
        both = (self._task, self._startup.answer)
        try:
            await asyncio.wait(both, timeout=self._timeout_s, return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            await self._end_task()
            raise
        if self._startup.answer.done():
            return self._started(self._startup.answer.result())
        if not self._task.done():
            await self._end_task()
            raise LifespanFailed(f"the application's lifespan startup did not answer within {self._timeout_s:g} s")
        self._check_early_end(self._task)
        return None

    async def shutdown(self) -> None:
        """Ask the application to end. Failures are only logged, since the process exits anyway."""
        if self._task is None or self._task.done():
            return
        self._shutdown.ask()
        await asyncio.wait((self._task, self._shutdown.answer), timeout=self._timeout_s, return_when="FIRST_COMPLETED")
        if not self._shutdown.answer.done() and not self._task.done():
            logger.error("lifespan shutdown did not answer within %g s", self._timeout_s)
        elif self._shutdown.answer.done() and self._shutdown.answer.result():
            logger.error("lifespan shutdown failed: %s", self._shutdown.answer.result())
        await self._end_task()

    async def _run(self) -> None:
        try:
            await self._application(self._scope, self._receive, self._send)
        except SystemExit as error:
            if self._startup.answer.done():
                raise
            # It would end the event loop silently.
            raise LifespanFailed(f"the application's lifespan startup called sys.exit({error.code!r})") from error

    def _started(self, failure: str) -> Event:
        assert self._task is not None
        if failure:
            self._task.cancel()
            self._task.add_done_callback(read_error)
            # Frameworks put a whole traceback here. It is logged; the exception has its last line.
            logger.error("lifespan startup failed: %s", failure)
            raise LifespanFailed(f"the application's lifespan startup failed: {failure.strip().splitlines()[-1]}")
        self._task.add_done_callback(self._ended)
        return self._state

    def _check_early_end(self, task: Task[None]) -> None:
        """Fail if the application, which ended before it answered, must have a lifespan (`on`) or called sys.exit()."""
        error = asyncio.CancelledError("cancelled by itself") if task.cancelled() else task.exception()
        what = f"raised {type(error).__name__}: {error}" if error else "returned without an answer"
        if isinstance(error, LifespanFailed):
            logger.error("lifespan startup called sys.exit()", exc_info=error.__cause__)
            raise error
        if self._mode == "on":
            if error is not None:
                logger.error("lifespan startup failed", exc_info=error)
            raise LifespanFailed(f"the application's lifespan startup {what} (--lifespan is on)") from error
        if error is not None and self._received:
            logger.warning("lifespan startup raised; the application is served without it (--lifespan)", exc_info=error)
        else:
            logger.debug("the application seems to have no lifespan: it %s", what, exc_info=error)

    def _ended(self, task: Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logger.error("the application's lifespan raised", exc_info=error)

    async def _end_task(self) -> None:
        """Give the lifespan task a moment to end by itself, then cancel it."""
        assert self._task is not None
        self._task.add_done_callback(read_error)
        _, pending = await asyncio.wait((self._task,), timeout=END_TIMEOUT_S if self._shutdown.answer.done() else 0.0)
        if pending:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=END_TIMEOUT_S)

    async def _receive(self) -> Event:
        phase = (self._startup, self._shutdown)[min(self._received, 1)]
        # Shielded: an application may cancel its receive() and ask again.
        await asyncio.shield(phase.asked)
        self._received += 1
        if self._received > 2:
            raise WrongOrder("receive() was called after lifespan.shutdown")
        return {"type": f"lifespan.{phase.name}"}

    async def _send(self, event: Any) -> None:
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or not (
            self._startup.accept_answer(kind, event) or self._shutdown.accept_answer(kind, event)
        ):
            raise InvalidEvent(f"{kind!r} is no event of the lifespan protocol")


def read_error(task: Task[None]) -> None:
    """Read the exception of a task that is being cancelled, so that asyncio does not report it as never retrieved."""
    if not task.cancelled():
        task.exception()
