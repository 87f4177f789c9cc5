"""The plan for supervisord's configuration, and the file that it becomes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from towpath.config import option_values
from towpath.runtime import terminal
from towpath.runtime.listen_address import ListenAddress
from towpath.runtime.run_dir import RunDir
from towpath.serve.serve_settings import ServeContext, ServeSettings
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.system import working_directory

COMMAND = (sys.executable, "-P", str(Path(__file__).resolve().parents[1] / "__main__.py"))
MORE = 4  #: `scale` may ask for this multiple of the first number, unless an option gives another maximum


def plan(folder: RunDir, settings: ServeSettings, address: ListenAddress) -> Plan:
    """Everything that supervisord's configuration depends on."""
    interface, worker = option_values.settings_of(settings.process_options)
    return Plan(
        command=COMMAND,
        app=settings.app,
        run_dir=str(folder.path),
        working_directory=working_directory.current(),
        socket=address.supervised,
        socket_permissions=address.permissions,
        descriptor=address.descriptor or 0,
        owns_socket=interface.fd is None,
        backlog=interface.backlog,
        interfaces=settings.interfaces,
        workers=settings.workers,
        interfaces_max=max(settings.interfaces, settings.values["interfaces_max"] or MORE * settings.interfaces),
        workers_max=max(settings.workers, settings.values["workers_max"] or MORE * settings.workers),
        embedded=settings.redis is None,
        graceful_interface_s=interface.graceful_timeout_s,
        graceful_worker_s=worker.graceful_timeout_s,
        worker_in_our_group=bool(terminal.offered(settings.workers)),
        user="root" if os.getuid() == 0 else None,
    )


def write_configuration(context: ServeContext) -> Path:
    """Write supervisord's configuration into the run folder; its path."""
    context.folder.folder.write(supervisord_conf.FILE_NAME, supervisord_conf.render(context.plan))
    return context.folder.path / supervisord_conf.FILE_NAME
