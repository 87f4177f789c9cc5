"""What the processes of a `serve` load until they serve: a library that is not needed for that costs each start, and stays in memory."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, wait_until
from towpath.runtime import embedded_redis
from towpath.status.lease_reader import LeaseReader

#: By top-level name: what each is for.
UNNEEDED = {
    "cbor2": "WAMP, another protocol of Autobahn's",
    "cffi": "building Autobahn's C code",
    "pycparser": "the same",
    "cryptography": "encryption keys; and pyOpenSSL, where it is installed",
    "dotenv": "--env-file",
    "hyperlink": "the URL in a handshake of Autobahn's",
    "opentelemetry": "--traces",
    "prometheus_client": "--admin-port",
    "redis": "`towpath status`",
    "tomllib": "--config",
    "watchfiles": "--reload",
    "yaml": "--log-config",
}
#: The line that Python writes for a module of a package, behind the name of the process that supervisord started. (It writes one
#: for the package itself also when it was not found.)
IMPORTED = re.compile(r"^(?:(\S+) +\| )?import time: +\d+ \| +\d+ \| +(\w+)\.", re.MULTILINE)
APP = """
async def application(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def renewals_began(server: Server) -> bool:
    """True if each process has renewed its lease."""
    reader = LeaseReader(embedded_redis.url(server.run_dir / "run"), "towpath:")
    try:
        leases = reader.read()
    finally:
        reader.close()
    return len(leases) == 2 and all(lease["up_s"] >= 1 for lease in leases)


def test_no_process_of_a_serve_loads_what_it_does_not_need(tmp_path: Path) -> None:
    """Until it has answered, and renewed its lease."""
    (tmp_path / "small.py").write_text(APP)
    with towpath_serve("small", run_dir=tmp_path, app_dir=tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        wait_until(lambda: renewals_began(server), "leases are renewed", server=server)
        assert httpx.get(server.url, **PLAIN).text == "ok"
    loaded: dict[str, set[str]] = {}
    for process, package in IMPORTED.findall(server.log):
        loaded.setdefault(process or "serve", set()).add(package)
    assert loaded.keys() == {"serve", "supervisord", "redis", "interface-0", "worker-0"}
    assert "autobahn" in loaded["interface-0"] and "hiredis" in loaded["worker-0"]
    needless = {process: found for process, packages in loaded.items() if (found := packages & UNNEEDED.keys())}
    assert not needless
