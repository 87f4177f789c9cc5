"""The bench itself: that it measures, and that it does not call a wrong answer fast."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.servers import COMPILED, COMPILED_BINARIES

ROOT = Path(__file__).parents[2]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.run", "--rounds", "1", "--seconds", "1"]
    command += ["--loudness-max", "inf", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


SERVERS = ["towpath", "uvicorn", "daphne", *([COMPILED] if COMPILED_BINARIES.exists() else [])]


@pytest.mark.parametrize("server", SERVERS)
def test_a_run_of_one_second_measures_a_server_and_writes_the_page(server: str, tmp_path: Path) -> None:
    """Each server of the table can be started, put under load and stopped, and the page names what it reached."""
    page = tmp_path / "RESULTS.md"
    done = bench("--rows", "hello", "--servers", server, "--output", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in page.read_text().splitlines() if line.startswith(f"| {server} |"))
    assert float(line.split("|")[2].replace(" ", "")) > 0
    assert "client" in line
    core = {"towpath": "interpreted", COMPILED: "compiled core"}.get(server)
    assert core is None or re.search(rf"^- `{server}`: towpath \S+ \({core}, CPython ", page.read_text(), re.MULTILINE)


def test_sockets_and_downloads_are_measured_too(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    sizes = ["--sockets", "300", "--mebibytes", "16"]
    done = bench("--rows", "echo,crowd,idle,download", "--servers", "uvicorn", *sizes, "--output", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    # Behind that title stands what other runs have written.
    measured, _, _ = page.read_text().partition("## Where the time goes")
    assert measured.count("| uvicorn |") == 4


def test_applications_starts_and_memory_are_measured_too(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    rows = ["fastapi", "starlette", "django", "django-async", "start", "start-fastapi", "memory"]
    done = bench("--rows", ",".join(rows), "--servers", "uvicorn", "--seconds", "0.2", "--output", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    measured, _, _ = page.read_text().partition("## Where the time goes")
    assert measured.count("| uvicorn |") == len(rows)


def test_two_processes_of_uvicorn_are_measured_when_both_serve(tmp_path: Path) -> None:
    """Else one of them would have all connections, and count as two."""
    page = tmp_path / "RESULTS.md"
    done = bench("--rows", "hello-2", "--servers", "uvicorn-2", "--output", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| uvicorn-2 |" in page.read_text()


def test_a_profile_has_a_page_of_each_package_and_harms_no_process(tmp_path: Path) -> None:
    """The timer that interrupts Python would end the server of Redis' protocol, which a Python process becomes."""
    done = bench("--rows", "hello", "--servers", "towpath", "--profile", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    profiled = [page.read_text().splitlines()[0] for page in tmp_path.iterdir()]
    for role in ("interface", "worker"):
        assert any(f" {role} " in command for command in profiled), profiled


def test_a_sample_that_interrupts_the_writing_of_a_profile_harms_no_process(tmp_path: Path) -> None:
    """A page takes longer than a sample's interval on a slow machine; the server ended with a RuntimeError there."""
    code = """
import signal
from collections import Counter
import sitecustomize

class Interrupted(Counter):
    def items(self):
        for item in super().items():
            signal.raise_signal(signal.SIGPROF)
            yield item

sitecustomize.totals = Interrupted()
signal.raise_signal(signal.SIGPROF)
while sitecustomize.functions.total() < 2 * sitecustomize.WRITE_EVERY_SAMPLES:
    signal.raise_signal(signal.SIGPROF)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks" / "profiler"), "BENCH_PROFILE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_partial_run_leaves_the_published_results_alone() -> None:
    """Only a run of every row with every server may replace what was published."""
    results = ROOT / "benchmarks" / "RESULTS.md"
    before = results.read_bytes() if results.exists() else None
    assert bench("--rows", "latency", "--servers", "uvicorn").returncode == 0
    assert (results.read_bytes() if results.exists() else None) == before


def test_an_unknown_row_is_refused_with_the_known_ones() -> None:
    """P12. Bad input gets a clear error."""
    done = bench("--rows", "hello,goodbye")
    assert done.returncode == 2
    assert "goodbye: not one of hello, latency" in done.stderr


@pytest.fixture
def turncoat() -> Iterator[str]:
    """Its pid and its port."""
    command = [sys.executable, str(Path(__file__).with_name("turncoat.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"{process.pid} {process.stdout.readline()}"
        process.kill()


def test_an_answer_of_failure_fails_the_run_however_fast_it_came(turncoat: str) -> None:
    """A server that sheds load is not a fast server."""
    done = python(
        "import sys, uvloop\n"
        "from benchmarks import http_load, servers\n"
        f"pid, port = map(int, {turncoat!r}.split())\n"
        "uvloop.run(http_load.asked(servers.Server(port, pid), 0.2, 2, http_load.get('/'), b'Hello, world!'))\n"
    )
    assert "LoadFailed" in done.stderr and "503 NO" in done.stderr, done.stderr


def test_a_server_that_cannot_start_fails_the_run_and_says_what_it_wrote() -> None:
    done = python("from benchmarks import servers\nwith servers.running('uvicorn', 'apps:missing'): print('it runs')\n")
    assert "it runs" not in done.stdout
    assert "ServerFailed" in done.stderr and "missing" in done.stderr
