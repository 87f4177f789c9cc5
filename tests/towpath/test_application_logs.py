"""What an application logs, and what it does to logging, under `serve`."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.plain_http import PLAIN
from tests.support.serving import towpath_serve

#: Sets logging up twice as careless applications do: at its import, and when it starts.
APP = """
import logging, logging.config

logging.basicConfig(level=logging.INFO, format="BASIC %(name)s %(message)s")
logging.getLogger("mine").info("at import")

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        logging.config.dictConfig({"version": 1})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    logging.getLogger("views").info("in a request")
    raise LookupError("of the application")
"""


def test_an_application_that_sets_logging_up_is_heard_and_its_tracebacks_too(tmp_path: Path, project: Path) -> None:
    """`basicConfig` works as under any server; existing loggers that were disabled, as is the default, speak again."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        assert httpx.get(server.url, **PLAIN, timeout=15).status_code == 500
        server.wait_for_log("LookupError: of the application")
        server.wait_for_log("BASIC views in a request")
        assert "BASIC mine at import" in server.log
