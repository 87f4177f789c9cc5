"""One application, served by one of the servers that are compared."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import serving

PROJECTS = Path(__file__).parent / "projects"
KINDS = ("uvicorn", "towpath")

#: For a test of what uvicorn is known to do otherwise; its docstring says what. Never collected for uvicorn, so never skipped.
ours = pytest.mark.parametrize("server", ["towpath"], indirect=True, scope="module")


def served(
    kind: str,
    app: str,
    run_dir: Path,
    *,
    cwd: Path = PROJECTS,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> contextlib.AbstractContextManager[serving.Server]:
    """The command is given where the project lies, as its author would. One worker: the bells ring in one process."""
    start = serving.uvicorn if kind == "uvicorn" else serving.towpath_serve
    # Clients leave here by closing, and a test would wait 5 s until that is no half-close any more.
    env = {"PYTHONPATH": str(PROJECTS), "TOWPATH_HALF_CLOSE_TIMEOUT": "0.2", **(env or {})}
    return start(app, run_dir=run_dir, cwd=cwd, options=options, env=env)
