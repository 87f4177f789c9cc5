"""What is shipped: the sdist and the wheel hold all that is needed, and the lock file of the image suits pyproject.toml.

Packages come from the index that pip is set up for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from channel_layer.version import PACKAGE_VERSION
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import GRACE, all_stand, free_port, running

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = ROOT / "deploy" / "requirements.lock"
PACKAGES = ("channel_layer", "interface_server", "worker", "towpath")
#: What of a package is no source of it.
MADE = re.compile(r"__pycache__|\.(?:pyc|so)$")
APPLICATION = """
async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"from the wheel"})
"""


def quietly(*command: str | Path, **how: object) -> str:
    """Run a command without what would make it build the compiled core; its error output is the failure's text."""
    env = {name: value for name, value in os.environ.items() if name not in ("TOWPATH_COMPILE", "PYTHONPATH")}
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, **how)  # type: ignore[call-overload]  # of `run`
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def pip(*arguments: str | Path) -> str:
    return quietly(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this folder as a clone has them: what an earlier build has left would be shipped too."""
    folder = tmp_path_factory.mktemp("checkout")
    files = quietly("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `pip install .` makes it: interpreted."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", folder, checkout)
    return next(folder.glob("towpath-*.whl"))


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the build backend itself."""
    folder = tmp_path_factory.mktemp("sdist")
    quietly(sys.executable, "-m", "build", "--sdist", "--outdir", folder, checkout)
    return next(folder.glob("towpath-*.tar.gz"))


def content(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_each_file_of_the_packages_and_nothing_else(checkout: Path, wheel: Path) -> None:
    """Lua scripts, `py.typed` and pages included; licence and commands beside them."""
    found = content(wheel)
    info = f"towpath-{PACKAGE_VERSION}.dist-info"
    sources = {
        path.relative_to(checkout).as_posix()
        for package in PACKAGES
        for path in (checkout / package).rglob("*")
        if path.is_file() and not MADE.search(path.as_posix())
    }
    assert sources == {name for name in found if not name.startswith(info)}
    assert {f"{package}/py.typed" for package in PACKAGES} <= found
    assert f"{info}/licenses/LICENSE" in found
    assert "towpath = towpath.__main__:main" in zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()


def test_a_wheel_from_the_sdist_is_the_wheel_from_the_checkout(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """And the sdist can be compiled: what setup.py needs for that is in it."""
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, sdist)
    second = tmp_path / wheel.name
    one, other = zipfile.ZipFile(wheel), zipfile.ZipFile(second)
    assert content(wheel) == content(second)
    assert not [name for name in content(wheel) if not name.endswith("RECORD") and one.read(name) != other.read(name)]
    shipped = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py", "core_profile/exercise.py"} <= shipped


def test_the_wheel_serves_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path, redis_server: RedisServer, prefix: str
) -> None:
    """With what the lock file names and no other package: nothing of ours is needed that pyproject.toml does not name."""
    environment = tmp_path / "environment"
    quietly(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    pip("--python", python, "install", "--quiet", "--require-hashes", "--requirement", LOCK)
    pip("--python", python, "install", "--quiet", "--no-deps", wheel)
    pip("--python", python, "check")
    version = quietly(environment / "bin" / "towpath", "--version", cwd=tmp_path)
    assert version.startswith(f"towpath {PACKAGE_VERSION} ")
    (tmp_path / "shop.py").write_text(APPLICATION)
    port = free_port()
    command = [
        environment / "bin" / "towpath",
        "serve",
        "shop",
        "--port",
        str(port),
        "--redis",
        redis_server.url,
        *GRACE,
    ]
    with running(
        "serve",
        [*command, "--prefix", prefix, "--run-dir", tmp_path / "run"],
        run_dir=tmp_path,
        cwd=tmp_path,
        port=port,
        ready=all_stand,
    ) as server:
        assert httpx.get(server.url, **PLAIN, timeout=20).text == "from the wheel"


def locked() -> dict[str, list[Requirement]]:
    """Each package of the lock file, with its version; several where that depends on the Python."""
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^(\w[^\\\n]*?) \\$", LOCK.read_text("utf-8"), re.MULTILINE):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_the_lock_file_satisfies_what_pyproject_requires() -> None:
    """For the image: all dependencies, and the extra that it has. Renewed by `make lock`."""
    tables = PROJECT["project"]
    packages = locked()
    for text in (*tables["dependencies"], *tables["optional-dependencies"]["metrics"]):
        wanted = Requirement(text)
        versions = [next(iter(each.specifier)).version for each in packages[canonicalize_name(wanted.name)]]
        assert versions and all(wanted.specifier.contains(version) for version in versions), text


def test_each_package_of_the_lock_file_has_one_version_and_hashes() -> None:
    """`pip install --require-hashes` refuses others; found here before an image is built."""
    text = LOCK.read_text("utf-8")
    for name, entries in locked().items():
        for entry in entries:
            assert [each.operator for each in entry.specifier] == ["=="], name
    for entry in re.split(r"(?m)^(?=\w)", text)[1:]:
        assert "--hash=sha256:" in entry, entry


def test_the_image_is_installed_from_the_lock_file() -> None:
    """With its hashes; Towpath itself brings no other version of anything."""
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    assert "--require-hashes --only-binary :all: --requirement /build/requirements.lock" in text
    assert re.search(r"pip install --no-deps /build\b", text)


def test_no_other_file_says_which_version_this_is() -> None:
    """channel_layer/version.py does, and pyproject.toml reads it there."""
    assert PROJECT["project"]["dynamic"] == ["version"]
    found = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if f'"{PACKAGE_VERSION}"' in path.read_text("utf-8")
    ]
    assert found == ["channel_layer/version.py"]
