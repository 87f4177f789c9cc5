"""The environment variables that the processes of a `serve` start with: at the start, and again for each reload."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from towpath.config import option_values, options
from towpath.runtime import passed_socket, terminal
from towpath.runtime.worker_environment import APP, FROM_SUPERVISORD, GENERATION, PAUSES, RUN_DIR
from towpath.serve.serve_settings import ServeContext
from towpath.system import service_manager, working_directory

if TYPE_CHECKING:  # imported while supervisord starts
    from towpath.rollout.reload import NewOptions

EMBEDDED_START_S = 20.0  #: what the embedded server may take to start, on a machine that is busy


def first(context: ServeContext) -> dict[str, str]:
    """The variables of every process that is started first."""
    return _environment(context, context.settings.process_options)


def read_again(context: ServeContext) -> NewOptions:
    """The options as of now, for workers that start from now on. StartFailure if they cannot be read.

    The folder that `serve` was started in is entered again before, so that relative paths mean what they mean there now.
    """
    from towpath.rollout.reload import NewOptions

    working_directory.change_to(context.plan.working_directory)
    settings = context.settings
    now = settings.read_again()
    values = option_values.merged_for_workers(settings.process_options, settings.with_reload_defaults(now))
    ignored = option_values.ignored_changes(settings.values, now) + ["APP"] * (now["app"] != settings.app)
    return NewOptions(_environment(context, values), values["worker_timeout"], tuple(ignored))


def _environment(context: ServeContext, values: Mapping[str, Any]) -> dict[str, str]:
    """The inherited variables with every option that was given, in whichever way it was given.

    Those of a supervisord or systemd that runs above this `serve` are left out: the processes would take what is said there for theirs.
    """
    settings = context.settings
    ours = {
        APP,
        PAUSES,
        terminal.VARIABLE,
        service_manager.VARIABLE,
        *passed_socket.VARIABLES,
        *(name for row in options.ROWS for name in (row.env, *row.also_env)),
    }
    inherited = {
        name: value for name, value in os.environ.items() if name not in ours and not name.startswith(FROM_SUPERVISORD)
    }
    return {
        **inherited,
        **option_values.environment({**values, **_redis(context, values)}),
        APP: settings.app,
        RUN_DIR: str(context.folder.path),
        GENERATION: f"{socket.gethostname()}.{os.getpid()}/0",
        "PYTHONUNBUFFERED": "1",
        **({PAUSES: "1"} if settings.reload else {}),
        **terminal.offered(settings.workers),
    }


def _redis(context: ServeContext, values: Mapping[str, Any]) -> dict[str, Any]:
    """Where Redis is, and how long a process waits for it: longer for the embedded server, which is started beside the processes."""
    wait_s = values["redis_wait"]
    if context.settings.redis is None:
        wait_s = max(wait_s, EMBEDDED_START_S)
    return {"redis": context.redis, "redis_url_file": None, "redis_wait": wait_s}
