"""Every line on the terminal has the name of its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.facts import wait_until
from towpath.serve.log_pipes import LINE_SIZE_BYTES_MAX, LineBuffer, LogPipes


def test_lines_are_whole_however_they_arrive() -> None:
    """Two processes never share a line."""
    lines = LineBuffer("worker-1", 8)
    assert lines.receive(b"one\ntw") == b"worker-1 | one\n"
    assert lines.receive(b"o\n") == b"worker-1 | two\n"
    assert lines.receive(b"last words") == b""
    assert lines.end() == b"worker-1 | last words\n"


def test_a_line_without_an_end_does_not_grow_without_an_end() -> None:
    """Beyond 64 KiB it is shown in pieces."""
    lines = LineBuffer("worker-1", 8)
    assert len(lines.receive(b"x" * (LINE_SIZE_BYTES_MAX + 1))) > LINE_SIZE_BYTES_MAX
    assert lines.end() == b""


def test_what_processes_say_through_their_pipes_comes_out_with_names(tmp_path: Path) -> None:
    """The pipe has no end when its writer dies: the next one goes on."""
    shown = bytearray()
    folder = os.open(tmp_path, os.O_RDONLY)
    pipes = LogPipes(folder, ["interface-0", "worker-0"], shown.extend)
    os.close(folder)
    pipes.start()
    for text in ("first life\n", "second life\n"):
        with open(tmp_path / "worker-0", "w") as writer:
            writer.write(text)
    wait_until(lambda: shown == b"worker-0    | first life\nworker-0    | second life\n", repr(shown))
    with open(tmp_path / "interface-0", "w") as writer:
        writer.write("no end of line")
    pipes.close()
    assert shown.endswith(b"interface-0 | no end of line\n")


def test_what_was_held_is_shown_in_order_before_what_comes_later(tmp_path: Path) -> None:
    """`serve` greets first; and of what one process said it can show that alone, as it was said."""
    shown: list[bytes] = []
    folder = os.open(tmp_path, os.O_RDONLY)
    pipes = LogPipes(folder, ["interface-0", "worker-0"], shown.append)
    os.close(folder)
    pipes.hold()
    pipes.start()
    for name in ("interface-0", "worker-0"):
        with open(tmp_path / name, "w") as writer:
            writer.write(f"{name} speaks\n")
        wait_until(lambda name=name: pipes.held_by(name) == f"{name} speaks\n".encode(), "it is held")
    assert shown == []
    pipes.release()
    with open(tmp_path / "worker-0", "w") as writer:
        writer.write("more\n")
    pipes.close()
    said = [b"interface-0 | interface-0 speaks", b"worker-0    | worker-0 speaks", b"worker-0    | more"]
    assert b"".join(shown).splitlines() == said


def test_in_json_every_line_is_an_object_and_what_is_one_passes_whole() -> None:
    """Nothing stands in front of it; other text becomes a message, and a failing process is shown by that text."""
    lines = LineBuffer("worker-1", 8, as_json=True)
    ours = b'{"level": "INFO", "message": "' + b"x" * (2 * LINE_SIZE_BYTES_MAX) + b'"}\n'
    assert lines.receive(ours[:-10]) == b""
    assert lines.receive(ours[-10:]) == ours
    shown = lines.receive(b"Traceback (most recent call last):\n\n")
    fields = json.loads(shown)
    assert (fields["process"], fields["message"]) == ("worker-1", "Traceback (most recent call last):")
    assert lines.bare(shown) == b"Traceback (most recent call last):\n"


SPEAK = """
import sys
from towpath.serve import serve_log
if sys.argv[1:]:
    serve_log.log_as_json()
for log in (serve_log.log, serve_log.log_warning, serve_log.log_error):
    log("it is so")
"""


def test_what_fails_has_a_level_in_both_forms() -> None:
    """So that an alarm for errors sees a failed reload."""
    command = [sys.executable, "-c", SPEAK]
    text = subprocess.check_output(command, text=True).splitlines()
    assert text == [f"serve       | {level}it is so" for level in ("", "WARNING: ", "ERROR: ")]
    lines = [json.loads(line) for line in subprocess.check_output([*command, "json"]).splitlines()]
    assert [line["level"] for line in lines] == ["INFO", "WARNING", "ERROR"]
    assert {line["message"] for line in lines} == {"it is so"}
