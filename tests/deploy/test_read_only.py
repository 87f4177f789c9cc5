"""`serve` where nothing can be written but its run folder, as containers have it.

Needs the right to make a mount namespace; where that is not, the test skips, which CI=true does not allow.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.plain_http import PLAIN
from tests.support.serving import BIN, GRACE, all_stand, free_port, running, wait_until

#: Its arguments: the run folder, and a command, which it becomes.
ENTER = """
mount --type tmpfs --options mode=0700 tmpfs "$0" &&
mount --options remount,bind,ro / &&
exec "$@"
"""
UNSHARE = ("unshare", "--mount", "--propagation", "private")
APP = """
async def application(scope, receive, send):
    assert scope["type"] == "http"
    try:
        open("written", "w")
        text = "written"
    except OSError as error:
        text = error.strerror
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


def test_a_serve_writes_into_its_run_folder_alone(tmp_path: Path) -> None:
    """Start, reload, stop; with the embedded server."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace of its own can be made here")
    project, runtime = tmp_path / "project", tmp_path / "runtime"
    project.mkdir()
    runtime.mkdir()
    (project / "small.py").write_text(APP)
    port = free_port()
    serve = [BIN / "towpath", "serve", "small", "--app-dir", project, "--run-dir", runtime, "--port", str(port), *GRACE]
    command = [*UNSHARE, "sh", "-c", ENTER, runtime, *serve]
    with running("serve", command, run_dir=tmp_path / "log", cwd=project, port=port, ready=all_stand) as server:
        answer = httpx.get(server.url, **PLAIN).text
        assert answer == "Read-only file system"
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "1 worker replaced" in server.log, "the worker is replaced", 60, server)
        assert httpx.get(server.url, **PLAIN).text == answer
        inside = subprocess.run(
            ["nsenter", "--mount", "--target", str(server.process.pid), "ls", runtime],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip  # one call
        assert "supervisord.conf" in inside.stdout
    assert not list(runtime.iterdir())
