"""Under CI=true nothing may be missing: a test that skips has failed, and so has a module that skips while it is collected.

A plugin for pytest, named in tests/conftest.py. Expected failures (xfail) are not skips.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest


def strict() -> bool:
    """Are we where everything must be there?"""
    return os.environ.get("CI", "").lower() == "true"


def _forbid(report: Any) -> None:
    """Turn a skip into a failure that says what was missing."""
    if strict() and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI=true does not allow: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """A test."""
    report = yield
    _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """A module."""
    report = yield
    _forbid(report)
    return report
