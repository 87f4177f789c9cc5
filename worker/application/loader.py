"""Imports the user's application, and finds out which interface it has.

`module:attribute` is all that is given. Each way in which that can be wrong ends in one sentence that names what was tried
and where: it is the only thing that an operator sees before the process exits with code 3.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from channel_layer.protocol.deployment import DEFAULT_ATTRIBUTES
from worker.application.django_urls import module_of_urls
from worker.application.loading import InLoop, Loading, without_loop
from worker.application.own_traceback import is_of_import_system, is_own, own_traceback
from worker.errors import AppBroken, AppNotFound, AppUnclear
from worker.settings import WorkerSettings

INTERFACES = ("asgi3", "asgi2", "wsgi")

#: The most of an exception's text: some have many lines, and the second may be the one that helps.
REASON_CHARS_MAX = 400

#: By the number of positional arguments of one call: (scope), (environ, start_response), (scope, receive, send).
INTERFACE_BY_ARGUMENTS = {1: "asgi2", 2: "wsgi", 3: "asgi3"}


@dataclass(frozen=True, slots=True)
class LoadedApplication:
    """The user's application, and how it was loaded."""

    target: Callable[..., Any]
    interface: str  #: asgi3, asgi2 or wsgi
    name: str  #: module:attribute
    context: Context = field(default_factory=copy_context)  #: in which it was loaded; to be copied (fresh_context.py)


def load_application(settings: WorkerSettings, in_loop: InLoop = without_loop) -> LoadedApplication:
    """Import the application that `settings` names, with its folder in front of the module path.

    in_loop: runs a call within the event loop that will serve.
    Raises AppNotFound, AppBroken or AppUnclear. Runs the user's module, so call it after import_isolation.release_package_names.
    """
    module_name, _, attribute = settings.app.partition(":")
    _check_name(settings.app, module_name)
    put_in_front(settings.app_dir)
    loading = Loading(in_loop)
    module = loading.outside_first(partial(_import, module_name, settings.app_dir))
    target, name = _attribute(module, module_name, attribute)
    if settings.factory:
        target = loading.inside_first(partial(_make, target, name, settings.app_dir))
    if not callable(target):
        what = f"what the factory {name} returned" if settings.factory else name
        hint = "" if settings.factory else _application_hint(module, target)
        raise AppUnclear(f"{what} is of type {type(target).__name__} and cannot be called{hint}")
    urls = module_of_urls()
    if urls is not None:
        loading.outside_first(partial(_import, urls, settings.app_dir))
    interface = settings.interface if settings.interface in INTERFACES else find_interface(target, name)
    return LoadedApplication(target, interface, name, loading.context)


def put_in_front(app_dir: str) -> None:
    """Put `app_dir` at the front of the module path."""
    folder = Path(app_dir).resolve()
    if not folder.is_dir():
        raise AppNotFound(f"the application's folder {folder} does not exist (--app-dir)")
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


def find_interface(target: Callable[..., Any], name: str) -> str:
    """The interface of `target` (asgi3, asgi2 or wsgi), from its kind and arguments. Raises AppUnclear if neither decides."""
    if getattr(target, "_asgi_single_callable", False):  # marks that asgiref sets
        return "asgi3"
    if getattr(target, "_asgi_double_callable", False):
        return "asgi2"
    if inspect.isclass(target):
        if hasattr(target, "__await__"):
            return "asgi3"
        if inspect.iscoroutinefunction(getattr(target, "__call__", None)):  # noqa: B004 - checks its kind, not whether it exists
            if not _takes_one(target):
                raise AppUnclear(
                    f"{name} is a class and cannot be made with a scope; if it makes the application, use --factory"
                )
            return "asgi2"
    elif _is_async(target):
        return "asgi3"
    count = _argument_count(target)
    interface = INTERFACE_BY_ARGUMENTS.get(count)
    if interface is None:
        hint = "" if count else ", or with --factory if it makes the application"
        raise AppUnclear(f"{name} takes neither 1, 2 nor 3 arguments: use --interface asgi3, asgi2 or wsgi{hint}")
    return interface


def _check_name(app: str, module_name: str) -> None:
    if not module_name:
        raise AppNotFound(f"{app!r} names no module: the application is given as module:attribute")
    if module_name.startswith("."):
        raise AppNotFound(f"{module_name!r} begins with a dot: the application is given as module:attribute, in full")
    if module_name.endswith(".py") or "/" in module_name:
        guess = " or ".join(_guesses(Path(module_name.removesuffix(".py"))))
        raise AppNotFound(f"{module_name!r} is a path: the application is given as module:attribute, perhaps {guess}")


def _guesses(path: Path) -> list[str]:
    """The meanings that `path` could have: a module within packages, or one in a folder of its own."""
    within = [] if path.is_absolute() or ".." in path.parts else [repr(".".join(path.parts))]
    return within if path.parent == Path() else [*within, f"{path.name!r} with --app-dir {path.parent}"]


def _import(module_name: str, app_dir: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            where = Path(app_dir).resolve()
            hint = _colon_hint(module_name)
            raise AppNotFound(f"no module named {missing!r} in {where} or on the Python path{hint}") from error
        raise _broken(f"importing {module_name!r}", error, app_dir) from error
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # a module that calls sys.exit() is broken too
        raise _broken(f"importing {module_name!r}", error, app_dir) from error


def _colon_hint(module_name: str) -> str:
    """A hint at a dot in the place of the colon. The module before it was imported, and has that attribute."""
    parent, _, attribute = module_name.rpartition(".")
    return f"; perhaps {parent}:{attribute}" if hasattr(sys.modules.get(parent), attribute) else ""


def _application_hint(module: ModuleType, named: Any) -> str:
    """A hint at where the application may be, if the named object is none. It may be in a module of that name, or under a default name."""
    if isinstance(named, ModuleType):
        return f"; perhaps {named.__name__}"
    names = [name for name in DEFAULT_ATTRIBUTES if callable(getattr(module, name, None))]
    return f"; perhaps {module.__name__}:{names[0]}" if names else ""


def _attribute(module: ModuleType, module_name: str, attribute: str) -> tuple[Any, str]:
    """The object and its full name, with the module as it was given: one that stands for another has the name of that.

    A dotted attribute is followed.
    """
    if attribute:
        return _follow(module, attribute), f"{module_name}:{attribute}"
    for default in DEFAULT_ATTRIBUTES:
        if hasattr(module, default):
            return getattr(module, default), f"{module_name}:{default}"
    raise AppNotFound(f"module {module.__name__!r} ({_file(module)}) has neither 'application' nor 'app'")


def _follow(module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            hint = _application_hint(module, None)
            raise AppNotFound(
                f"module {module.__name__!r} ({_file(module)}) has no attribute {attribute!r}{hint}"
            ) from error
    return found


def _make(factory: Any, name: str, app_dir: str) -> Any:
    if not callable(factory):
        raise AppUnclear(f"{name} is of type {type(factory).__name__} and no factory: it cannot be called")
    try:
        made = factory()
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        raise _broken(f"the factory {name}", error, app_dir) from error
    if inspect.iscoroutine(made):
        made.close()  # else Python warns that it was never awaited
        raise AppUnclear(f"the factory {name} is an async function: it has to return the application when it is called")
    return made


def _broken(what: str, error: BaseException, app_dir: str) -> AppBroken:
    """The exception with one sentence on the error and its place. The traceback of the project's own code is its detail."""
    text = " ".join(str(error).split())
    text = text if len(text) <= REASON_CHARS_MAX else f"{text[:REASON_CHARS_MAX]}…"
    home = Path(app_dir).resolve()
    hint = "; perhaps it needs --loop asyncio" if "uvloop.Loop" in text else ""
    sentence = f"{what} raised {type(error).__name__}{text and f': {text}'}{_place(error, home)}{hint}"
    return AppBroken(sentence, own_traceback(error, home))


def _place(error: BaseException, home: Path) -> str:
    """The line that raised it. If that is in a library, also the line of the user's own code that led there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    _, *frames = (frame for frame in extract_tb(error.__traceback__) if not is_of_import_system(frame.filename))
    if not frames:
        return ""
    last, own = frames[-1], [frame for frame in frames if is_own(frame.filename, home)]
    led_there = f", from {own[-1].filename}:{own[-1].lineno}" if own and own[-1] is not last else ""
    return f" ({last.filename}:{last.lineno}{led_there})"


def _takes_one(target: Callable[..., Any]) -> bool:
    try:
        inspect.signature(target).bind(None)
    except TypeError:
        return False
    except ValueError:  # its arguments are unknown
        pass
    return True


def _is_async(target: Callable[..., Any]) -> bool:
    call = getattr(target, "__call__", None)  # noqa: B004 - checks its kind, not whether it exists
    return inspect.iscoroutinefunction(inspect.unwrap(target)) or inspect.iscoroutinefunction(call)


def _argument_count(target: Callable[..., Any]) -> int:
    """The number of positional arguments that a call must have; 0 if it is unknown."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    return len(required) or len(positional)


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "a folder without __init__.py"
