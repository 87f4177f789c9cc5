"""The version of this package: of the wheel, of `towpath --version`, and in the lease of each process. pyproject.toml reads it here."""

from __future__ import annotations

from typing import Final

PACKAGE_VERSION: Final = "0.1.0"
