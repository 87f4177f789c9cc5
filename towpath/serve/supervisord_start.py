"""Starting supervisord: the plan for its configuration, and its process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from towpath.config import option_values
from towpath.runtime import terminal
from towpath.runtime.listen_address import ListenAddress
from towpath.runtime.run_dir import RunDir
from towpath.serve.serve_settings import ServeContext, ServeSettings
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.system import processes, working_directory

COMMAND = (sys.executable, "-P", str(Path(__file__).resolve().parents[1] / "__main__.py"))
#: supervisord needs a folder for temporary files, and deletes files in it: there may be none, and in that of all users it must not.
#: Nor does it need TLS.
SUPERVISE = (
    "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1); sys.modules['ssl'] = None; "
    "from supervisor.supervisord import main; main()"
)
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


def start(conf: Path, environment: Mapping[str, str], descriptor: int | None) -> subprocess.Popen[bytes]:
    """Start supervisord in a process group of its own: Ctrl-C reaches it through `serve` alone."""
    return subprocess.Popen(
        # Warnings of its own code are of no use here; with PYTHONWARNINGS=error they would end every call of it.
        [sys.executable, "-P", "-W", "ignore", "-c", SUPERVISE, str(conf.parent), "-n", "-c", str(conf)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        pass_fds=() if descriptor is None else (descriptor,),
        preexec_fn=processes.end_with_parent,
    )
