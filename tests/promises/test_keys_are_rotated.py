"""P11, P12. Encryption keys are rotated in a running deployment, and processes with other keys do not start. On real processes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT
from tests.promises.fleet import leases_at, towpath
from tests.support.plain_http import PLAIN
from tests.support.serving import (
    BIN,
    Server,
    environment,
    free_port,
    towpath_interface,
    towpath_serve,
    towpath_worker,
    wait_until,
)

OLD = "old: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
NEW = "new: 9f86d081884c7d659a2feaa0c55ad0159"
#: Between an answer and the next request of a client, so that they leave the processor to what they watch.
PAUSE_S = 0.005


def read_by(url: str, key_file: Path) -> dict[str, Any]:
    command = [BIN / "towpath", "status", "--json", "--redis", url]
    env = environment({"TOWPATH_ENCRYPTION_KEY_FILE": str(key_file)})
    found: dict[str, Any] = json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    return found


def encryptions(url: str, key_file: Path) -> set[str]:
    """The keys of which the leases tell."""
    return {lease["encryption"] for lease in leases_at(url, str(key_file))}


def test_keys_are_rotated_under_open_sockets_and_requests(tmp_path: Path, url: str) -> None:
    """Three changes of one file: no request fails, no socket closes, nothing is undecryptable, and at the end the old key is of no use."""
    key_file = tmp_path / "keys"
    env = {"TOWPATH_ENCRYPTION_KEY_FILE": str(key_file)}

    def have(*keys: str) -> None:
        key_file.write_text("".join(f"{key}\n" for key in keys))

    have(OLD)
    with (
        towpath_interface(url, run_dir=tmp_path / "interface", env=env) as server,
        towpath_worker("rotation", url, app_dir=PROJECT, run_dir=tmp_path / "one", env=env) as one,
        towpath_worker("rotation", url, app_dir=PROJECT, run_dir=tmp_path / "two", env=env) as two,
        Traffic(server) as traffic,
    ):
        everything = (server, one, two)
        wait_until(lambda: len(leases_at(url, str(key_file))) == 3, "all have their leases", server=server)
        for step in ((OLD, NEW), (NEW, OLD), (NEW,)):
            have(*step)
            rotated = f"and decrypts with {', '.join(ids(step))}"
            wait_until(lambda rotated=rotated: all(rotated in each.log for each in everything), rotated, server=server)
            traffic.goes_on()
        only_new = {ids((NEW,))[0]}
        wait_until(lambda: encryptions(url, key_file) == only_new, "all leases say so", server=server)
        processes = read_by(url, key_file)["processes"]
        assert not [process for process in processes if process["counters"].get("packets.undecryptable")]
        (old_file := tmp_path / "old").write_text(OLD)
        assert "which this process does not have" in read_by(url, old_file)["unreadable"]
    assert not traffic.faults


def ids(keys: tuple[str, ...]) -> list[str]:
    from channel_layer.encryption.keyring import Keyring

    return list(Keyring(keys).ids)


class Traffic:
    """Requests and messages, one after the other, on connections that stay open: six WebSockets in one group, and two of requests."""

    def __init__(self, server: Server) -> None:
        self.faults: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._counts = [0] * 8
        calls: list[Callable[[int], None]] = [*[self._talk] * 6, *[self._ask] * 2]
        self._threads = [threading.Thread(target=self._guard, args=(call, n)) for n, call in enumerate(calls)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def goes_on(self) -> None:
        """Return when each has got another 20 answers."""
        before = list(self._counts)
        wait_until(
            lambda: bool(self.faults) or all(now >= then + 20 for now, then in zip(self._counts, before, strict=True)),
            "answers",
            server=self._server,
        )
        assert not self.faults

    def _guard(self, call: Callable[[int], None], number: int) -> None:
        try:
            call(number)
        except Exception as error:
            self.faults.append(f"{number}: {error!r}")

    def _talk(self, number: int) -> None:
        with connect(f"{self._server.websocket_url}/room") as socket:
            while not self._over.wait(PAUSE_S):
                mine = f"{number}: {self._counts[number]}"
                socket.send(mine)
                while socket.recv(timeout=20) != mine:  # what the others say comes too
                    pass
                self._counts[number] += 1

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._server.url, timeout=20, **PLAIN) as client:
            while not self._over.wait(PAUSE_S):
                body = f"{number} asks {self._counts[number]}"
                assert client.post("/echo", content=body).text == body
                self._counts[number] += 1


def test_a_command_with_other_keys_does_not_start(tmp_path: Path, url: str) -> None:
    """Exit code 3 and one sentence, for a worker, an interface server and a `serve`; and for keys that cannot be used."""
    (good := tmp_path / "good").write_text(OLD)
    (other := tmp_path / "other").write_text(NEW)
    (short := tmp_path / "short").write_text("short")
    commands = (
        ("worker", "rotation", "--app-dir", str(PROJECT)),
        ("interface", "--port", str(free_port())),
        ("serve", "rotation", "--app-dir", str(PROJECT), "--port", str(free_port())),
    )
    with towpath_worker(
        "rotation", url, app_dir=PROJECT, run_dir=tmp_path / "worker", options=("--encryption-key-file", str(good))
    ) as worker:
        wait_until(lambda: "takes connections" in worker.log, "the worker stands", server=worker)
        with contextlib.ExitStack() as stack:
            refused = [
                stack.enter_context(start(tmp_path / f"{command[0]}{len(keys)}", *command, "--redis", url, *keys))
                for command in commands
                for keys in ((), ("--encryption-key-file", str(other)))
            ]
            for process in refused:
                said, _ = process.communicate(timeout=90)
                assert process.returncode == 3, said
                assert said.count("under the prefix 'towpath:'") == 1, said
                assert "has no encryption key" in said or "which this process does not have" in said, said
                assert "Traceback" not in said
            with start(
                tmp_path / "short", *commands[0], "--redis", url, "--encryption-key-file", str(short)
            ) as process:
                said, _ = process.communicate(timeout=90)
                assert process.returncode != 0 and "has 5 characters, and needs at least 32" in said, said


def start(run_dir: Path, *words: str) -> subprocess.Popen[str]:
    command = [BIN / "towpath", *words, *(("--run-dir", run_dir) if words[0] == "serve" else ())]
    return subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_serve_hands_its_keys_on_and_status_finds_them(tmp_path: Path) -> None:
    """The key file of a running `serve` is known to `status`, by its path."""
    (key_file := tmp_path / "keys").write_text(OLD)
    options = ("--encryption-key-file", str(key_file))
    with towpath_serve("rotation", app_dir=PROJECT, run_dir=tmp_path, options=options) as server:
        assert httpx.post(f"{server.url}/echo", content="hello", **PLAIN).text == "hello"
        shown = towpath(server, "status").stdout
        assert shown.count(ids((OLD,))[0]) == 2 and "rotation:application" in shown, shown
        key_file.write_text(NEW + "\n" + OLD)
        wait_until(
            lambda: towpath(server, "status").stdout.count(" ".join(ids((NEW, OLD)))) == 2,
            "all have both",
            server=server,
        )
        reloaded = towpath(server, "reload")
        assert reloaded.returncode == 0, reloaded.stdout + reloaded.stderr
        assert httpx.post(f"{server.url}/echo", content="hello again", **PLAIN).text == "hello again"
