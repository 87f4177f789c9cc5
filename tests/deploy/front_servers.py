"""nginx, HAProxy and Caddy with the files of deploy/proxies, at a port of a test and in front of its servers.

Debian's packages; where one is missing, its tests are skipped by name.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.serving import Server, free_port, running

FILES = Path(__file__).parents[2] / "deploy" / "proxies"
NAMES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}
PATH = f"{os.environ['PATH']}:/usr/sbin"


def param(program: str) -> object:
    """A value for `parametrize`, skipped where there is no such program."""
    reason = f"there is no {program} (Debian: apt install {program})"
    return pytest.param(program, marks=pytest.mark.skipif(shutil.which(program, path=PATH) is None, reason=reason))


def configuration(program: str, port: int, servers: Sequence[int], static: Path | None = None) -> str:
    """The file, listening at `port`, in front of the interface servers at the ports `servers`, with its static files uncommented."""
    text = (FILES / NAMES[program]).read_text("utf-8")
    text, listens = re.subn(r"(?m)^(\s*(?:listen |bind )?)\S*:?80(;| \{|)$", rf"\g<1>{listen(program, port)}\2", text)
    wanted = [f"127.0.0.1:{server}" for server in servers]
    text, first = re.subn("127.0.0.1:8000", wanted[0], text)
    assert (listens, first) == (1, 1)
    if len(wanted) == 2:
        text, second = re.subn(r"# (.*)127\.0\.0\.1:8001", rf"\g<1>{wanted[1]}", text)
        assert second == 1
    if static is not None:
        text, lines = re.subn(
            r"(?m)^(\s*)# ((?:location|handle_path|\s+(?:alias|root|file_server)|\}).*)$", r"\1\2", text
        )
        text, named = re.subn("/srv/static", str(static), text)
        assert (lines >= 3, named) == (True, 1)
    return text


def listen(program: str, port: int) -> str:
    """The address as this program writes it."""
    return f"http://127.0.0.1:{port}" if program == "caddy" else f"127.0.0.1:{port}"


def fronted(
    program: str, folder: Path, servers: Sequence[int], static: Path | None = None
) -> AbstractContextManager[Server]:
    """The program with its file and nothing else; whatever it writes stays in `folder`."""
    port = free_port()
    path = folder / NAMES[program]
    text = configuration(program, port, servers, static)
    env = {"PATH": PATH, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    if program == "nginx":
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        user = "user root;\n" if os.geteuid() == 0 else ""
        mime = "include /etc/nginx/mime.types;\n" if Path("/etc/nginx/mime.types").exists() else ""
        head = f"{user}pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{mime}access_log off;\n{paths}"
        path.write_text(f"{head}{text}}}\n")
        command = ["nginx", "-p", str(folder), "-c", str(path), "-g", "daemon off;"]
    elif program == "haproxy":
        path.write_text(text)
        command = ["haproxy", "-f", str(path), "-db"]
    else:
        path.write_text(f"{{\n\tadmin off\n}}\n{text}")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)]
    command[0] = shutil.which(program, path=PATH) or program
    return running(program, command, run_dir=folder, port=port, env=env, exit_codes=(0, -signal.SIGTERM))
