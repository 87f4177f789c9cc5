"""Context that all connections of one interface server share; there is one per process.

An exchange or a WebSocket adds one to `under_way` when it opens at the backend, and subtracts it when it is over;
`limit_concurrency` is compared with it before a new one is opened. `default_headers` holds the header lines that do not depend on
the response; `now` is the time of the last tick of the ticker, good enough for deadlines and free to read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from time import gmtime, strftime

from interface_server.access_log.access_log import AccessLog
from interface_server.access_log.access_writer import AccessWriter
from interface_server.access_log.observed_backend import ObservedBackend
from interface_server.access_log.refusal_log import refusal_logs
from interface_server.connections.interfaces import Backend
from interface_server.http.default_headers import DefaultHeaders
from interface_server.http.health import Health
from interface_server.http.interfaces import ResponseMeter
from interface_server.http.proxy_headers import TrustedPeers
from interface_server.http.upload_timeouts import UploadTimeouts
from interface_server.queue.concurrency_log import ConcurrencyLog
from interface_server.settings import InterfaceSettings
from interface_server.timers import Ticker
from interface_server.transport.slow_consumers import SlowConsumers
from interface_server.transport.write_timeout import WriteTimeouts


@dataclass(slots=True, eq=False, kw_only=True)
class ServerContext:
    """The settings, the backend and the shared parts of all connections of one interface server.

    `of` makes it; `start` and `stop` belong to the owner of the process.
    """

    settings: InterfaceSettings
    backend: Backend
    loop: asyncio.AbstractEventLoop
    #: Refusals, drops and cuts by reason, `<what>.<why>` (`refused.head_too_large`): names come from the code, never from a client.
    counters: Counter[str]
    access_log: AccessLog
    observed: bool  #: responses are logged, measured, or both
    access_writer: AccessWriter | None  #: of lines that are written when answers are over; None: there are none
    trusted: TrustedPeers | None  #: None: proxy headers are not read
    default_headers: DefaultHeaders
    health: Health
    write_timeouts: WriteTimeouts  #: of clients that have bytes to take
    slow: SlowConsumers  #: WebSockets for which many bytes of groups and third parties wait
    uploads: UploadTimeouts  #: of requests with an incomplete body
    half_closed: WriteTimeouts  #: of clients that have closed their own direction and wait for an answer
    ticker: Ticker
    meter: ResponseMeter | None = None
    now: float = 0.0  #: loop.time() at the last tick
    idle_deadline: float = 0.0  #: the present value of `deadline(keep_alive_timeout_s)`
    under_way: int = 0  #: exchanges and WebSockets that are open at the backend
    draining: bool = False  #: every response has `Connection: close`; no idle connection is kept

    @classmethod
    def of(
        cls,
        settings: InterfaceSettings,
        backend: Backend,
        loop: asyncio.AbstractEventLoop,
        counters: Counter[str],
        *,
        tick_period_s: float = 1.0,
    ) -> ServerContext:
        """Make all parts from `settings`. counters: the dispatcher's, which publishes them. ValueError: a setting has no meaning."""
        health = Health(settings.health_path)
        is_logged, as_json = settings.access_log and AccessLog.is_heard(), settings.log_format == "json"
        is_measured = is_logged and (as_json or settings.access_log_format is not None)
        context = cls(
            settings=settings,
            backend=ObservedBackend(backend) if is_measured else backend,
            loop=loop,
            counters=counters,
            observed=is_logged,
            access_log=AccessLog(is_logged, health.paths),
            access_writer=AccessWriter(settings.access_log_format, as_json) if is_measured else None,
            trusted=TrustedPeers(settings.forwarded_allow_ips) if settings.proxy_headers else None,
            default_headers=DefaultHeaders(imf_fixdate, settings.server_header, settings.date_header, settings.headers),
            health=health,
            write_timeouts=WriteTimeouts(settings.write_timeout_s),
            slow=SlowConsumers(settings.ws_push_timeout_s),
            uploads=UploadTimeouts(settings.body_timeout_s and settings.body_timeout_s + tick_period_s),
            half_closed=WriteTimeouts(settings.half_close_timeout_s),
            ticker=Ticker(loop, tick_period_s),
        )
        context._tick(loop.time())
        context.ticker.add(context._tick)
        context.ticker.add(context.write_timeouts.check)
        context.ticker.add(context.slow.check)
        context.ticker.add(context.half_closed.check)
        context.ticker.add(context.uploads.check)
        for refusal_log in refusal_logs(counters):
            context.ticker.add(refusal_log.check)
        if settings.limit_concurrency:
            concurrency_log = ConcurrencyLog(settings.limit_concurrency)
            context.ticker.add(lambda now: concurrency_log.check(context.full(), now))
        return context

    def measure(self, meter: ResponseMeter) -> None:
        """Report each response to `meter` from now on."""
        if self.access_writer is None:
            self.backend = ObservedBackend(self.backend)
        self.meter, self.observed = meter, True

    def start(self) -> None:
        """Check deadlines from now on."""
        self.ticker.start()

    def stop(self) -> None:
        """Check no deadline any more."""
        self.ticker.stop()

    def deadline(self, seconds: float) -> float:
        """The moment after which something is late: never before `seconds` from now have passed."""
        return self.now + seconds + self.ticker.period_s

    def full(self) -> bool:
        """True if no further exchange or socket may be opened: answer 503."""
        limit = self.settings.limit_concurrency
        return limit > 0 and self.under_way >= limit

    def _tick(self, now: float) -> None:
        self.now = now
        self.idle_deadline = self.deadline(self.settings.keep_alive_timeout_s)
        self.default_headers.refresh()


def imf_fixdate() -> str:
    """This moment as HTTP writes it (RFC 9110, 5.6.7). The names are English: no locale for time is ever set in an interface server."""
    return strftime("%a, %d %b %Y %H:%M:%S GMT", gmtime())
