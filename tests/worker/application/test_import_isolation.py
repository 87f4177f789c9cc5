"""A project that has its own `worker`, `towpath` and `interface_server` works unchanged."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: What the start of a worker does, in its order.
START = """
import sys
sys.path.insert(0, {home!r})
from worker.application import import_isolation
import_isolation.import_everything()
from worker.application.loader import load_application
from worker.settings import WorkerSettings
import_isolation.release_package_names()
loaded = load_application(WorkerSettings(app="project.web:app", app_dir={folder!r}))
print(loaded.target(None, None, None))
import channel_layer.protocol.events
print(channel_layer.protocol.events.__file__.startswith({home!r}))
"""


@pytest.mark.parametrize("environment", [{}, {"PYTHONPATH": "."}])
def test_a_project_with_modules_of_our_names_gets_its_own(tmp_path, environment):
    """Packages and plain modules alike, from the project's folder and from PYTHONPATH; ours keep working meanwhile."""
    from worker.application.import_isolation import OUR_HOME

    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").write_text("name = 'their worker'")
    (tmp_path / "worker" / "settings.py").write_text("value = 'their settings'")
    (tmp_path / "towpath.py").write_text("name = 'their towpath'")
    (tmp_path / "interface_server.py").write_text("name = 'their server'")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "web.py").write_text(
        "import worker, worker.settings, towpath, interface_server\n"
        "def app(scope, receive, send):\n"
        "    return [worker.name, worker.settings.value, towpath.name, interface_server.name]\n"
    )
    program = START.format(home=str(OUR_HOME), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout.splitlines() == [
        "['their worker', 'their settings', 'their towpath', 'their server']",
        "True",
    ], done.stderr


def test_every_module_of_ours_is_imported_before_the_names_are_given_up():
    """Those of sub-packages too: one that is imported later would be looked for in the user's `worker`."""
    from worker.application.import_isolation import OUR_HOME

    files = [path for path in (OUR_HOME / "worker").rglob("*.py") if path.name != "__main__.py"]
    names = [".".join(path.relative_to(OUR_HOME).with_suffix("").parts).removesuffix(".__init__") for path in files]
    program = (
        f"import sys; sys.path.insert(0, {str(OUR_HOME)!r})\n"
        "from worker.application import import_isolation\n"
        "import_isolation.import_everything()\n"
        f"print([name for name in {names!r} if name not in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_no_module_of_ours_imports_inside_a_function():
    """After release_package_names an import statement of ours would find the user's module, so there is none that runs late."""
    import ast

    from worker.application.import_isolation import OUR_HOME

    late, looked_at = [], [path for path in (OUR_HOME / "worker").rglob("*.py") if path.name != "__main__.py"]
    assert {path.parent.name for path in looked_at} >= {
        "worker",
        "application",
        "asgi",
        "connections",
        "lifecycle",
        "wsgi",
    }
    for path in looked_at:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                late += [
                    f"{path.name}:{node.lineno}"
                    for node in ast.walk(function)
                    if isinstance(node, ast.Import | ast.ImportFrom)
                ]
    assert late == []
