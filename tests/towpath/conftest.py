"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with `small.py`: the application that the test's own module has as `APP`."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "small.py").write_text(request.module.APP)
    return folder
