"""Types of option values: each parses a text, or fails with a sentence about it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from channel_layer.encryption.keyring import check_keys, parse_key_file
from channel_layer.errors import InvalidName
from channel_layer.messaging.generations import Generations
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.protocol.names import check_channel
from channel_layer.redis.address_file import address_source, path_in
from interface_server.http.proxy_headers import TrustedPeers

UNITS_BYTES = {"": 1, "b": 1, "k": 1024, "kib": 1024, "m": 1024**2, "mib": 1024**2, "g": 1024**3, "gib": 1024**3}
UNITS_BYTES |= {"kb": 1000, "mb": 1000**2, "gb": 1000**3}


#: Headers of one message or one connection: no constant value can be right, and most would break the framing.
NOT_TO_ADD = frozenset({"content-length", "transfer-encoding", "te", "trailer"})
NOT_TO_ADD |= {"connection", "keep-alive", "proxy-connection", "upgrade"}


class Size(click.ParamType[int]):
    """Bytes: `262144`, `256KiB`, `256MiB`, `1GiB`."""

    name = "size"

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        match = re.fullmatch(r"\s*(\d+)\s*([a-z]*)\s*", str(value).lower())
        if match is None or match[2] not in UNITS_BYTES:
            self.fail(f"{value!r} is not a size in bytes such as 65536, 64KiB or 256MiB", param, ctx)
        size = int(match[1]) * UNITS_BYTES[match[2]]
        if size < self._least:
            self.fail(f"{value!r} is less than {self._least}, which is the least", param, ctx)
        if self._most is not None and size > self._most:
            self.fail(f"{value!r} is more than {self._most}, which is the most", param, ctx)
        return size


class Whole(click.IntRange):
    """A whole number."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        right = f"a whole number from {self.min or 0} {'on' if self.max is None else f'to {self.max}'}"
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not {right}", param, ctx)
        if number < (self.min or 0) or (self.max is not None and number > self.max):
            self.fail(f"{number} is not {right}", param, ctx)
        return number


class Seconds(click.FloatRange):
    """A time in seconds: any number but NaN."""

    name = "seconds"

    def __init__(self, least: float = 0) -> None:
        self.least, self.most = least, 1e9
        super().__init__(min=self.least, max=self.most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        right = f"a number of seconds from {self.least:g} to {self.most:,.0f}"
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if math.isnan(seconds):
            self.fail(f"{value!r} is not {right}", param, ctx)
        if not self.least <= seconds <= self.most:
            self.fail(f"{seconds:g} is not {right}", param, ctx)
        return seconds


class TrueOrFalse(click.types.BoolParamType):
    """True or false, and the other words for them that click knows. An empty text is neither."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """The boolean."""
        known = None if value == "" else self.str_to_bool(value)
        if known is None:
            self.fail(
                f"{value!r} is neither true nor false (on and off, yes and no, 1 and 0 mean the same)", param, ctx
            )
        return known


class Header(click.ParamType[tuple[str, str]]):
    """A response header, `NAME:VALUE`; in the environment one per line."""

    name = "name:value"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Name and value, the space around them taken away."""
        if isinstance(value, tuple):
            return value
        name, colon, content = str(value).partition(":")
        if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
            self.fail(f"{value!r} is not of the form NAME:VALUE", param, ctx)
        if name.strip().lower() in NOT_TO_ADD:
            self.fail(f"{name.strip()!r} belongs to one message or one connection, and is no header to add", param, ctx)
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", content):
            self.fail(f"the value of {name.strip()!r} has control characters", param, ctx)
        if not all(ord(character) < 256 for character in content):
            self.fail(f"the value of {name.strip()!r} has characters that are not in Latin-1", param, ctx)
        return name.strip(), content.strip()


class SharedChannel(click.ParamType[str]):
    """The name of a shared channel of an application; in the environment several, with spaces between."""

    name = "name"

    def __init__(self, or_pattern: bool = False) -> None:
        """or_pattern: also a pattern as of a shell, which many names match."""
        self._or_pattern = or_pattern

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if it is one. Empty: none, where the option may be missing."""
        if value == "" and param is not None and not param.multiple:
            return ""
        try:
            if "!" in check_channel(_without_wildcards(value) if self._or_pattern else value):
                self.fail(f"{value!r} belongs to one process or client; --channel takes a shared channel", param, ctx)
        except InvalidName as error:
            self.fail(str(error), param, ctx)
        if value in CHANNEL_OF_KIND.values():
            self.fail(f"{value!r} is the channel of connections, which a worker without --channel reads", param, ctx)
        return str(value)


def _without_wildcards(pattern: str) -> str:
    """A name that the pattern could match."""
    return re.sub(r"[*?]|\[!?[a-zA-Z0-9_.-]+\]", "x", pattern)


class MountPath(click.ParamType[str]):
    """Where a proxy has mounted the application: empty, or a path with a slash in front."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path, without a slash behind."""
        if value and not str(value).startswith("/"):
            self.fail(f"{value!r} does not begin with a slash", param, ctx)
        return str(value).rstrip("/")


class Checked(click.ParamType[str]):
    """A text that is taken as it is, unless `check` raises ValueError with a sentence about it."""

    def __init__(self, name: str, check: Callable[[str], object]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it was given."""
        try:
            self._check(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def _permissions(text: str) -> None:
    if text and re.fullmatch(r"(0o)?[0-7]{3,4}", text) is None:
        raise ValueError(f"{text!r} is no octal number such as 660")


def _some_address(text: str) -> None:
    """An empty address would mean all of them to the system."""
    if not text:
        raise ValueError(
            "'' is no address; 0.0.0.0 listens on all IPv4 addresses of this machine, and :: on all of both families"
        )


class Address(Checked):
    """An address or the name of a host; an IPv6 address also in brackets, as in a URL."""

    def __init__(self) -> None:
        super().__init__("address", _some_address)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, without brackets."""
        text = super().convert(value, param, ctx)
        return text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text


def _access_format(text: str) -> None:
    from interface_server.access_log.access_format import AccessFormat  # where one is given only

    AccessFormat(text)


def _redis_url(text: str) -> None:
    """A file is read by the process that connects, and not before."""
    if path_in(text) is None:
        address_source(text)


ACCESS_FORMAT = Checked("format", _access_format)
HOST = Address()
PERMISSIONS = Checked("octal", _permissions)
#: Trusted peers: addresses, networks, `unix`, or `*`, with commas between.
PROXY_LIST = Checked("addresses", TrustedPeers)
#: A URL that redis-py knows, `redis+sentinel://host:port,…/service`, or `file:///path` of a file that holds one.
REDIS_URL = Checked("url", _redis_url)
#: `<fleet>/<number>`, or nothing.
GENERATION = Checked("fleet/number", Generations)


class UrlFile(click.ParamType[str]):
    """The path of a file that holds a URL, as a URL itself. It is read by the process that connects, and not before."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`file:///path`. A symbolic link stays one, since it may lead elsewhere later."""
        if not value:
            self.fail("'' is no path of a file", param, ctx)
        return Path(value).absolute().as_uri()


class ApplicationInterface(click.Choice[str]):
    """The interface of the application. A number here is most likely meant as the number of interface servers."""

    def __init__(self) -> None:
        super().__init__(("auto", "asgi3", "asgi2", "wsgi"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The choice, or a hint."""
        if str(value).isdigit():
            self.fail(f"{value} is a number; did you mean --interfaces {value}?", param, ctx)
        return super().convert(value, param, ctx)


class PathOrOff(click.ParamType[str]):
    """A path, or `off` for none: an empty value in the environment would mean "not set"."""

    name = "path|off"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A path with a slash in front, or an empty text."""
        if value in ("", "off"):
            return ""
        if not str(value).startswith("/"):
            self.fail(f"{value!r} does not begin with a slash (or is `off`)", param, ctx)
        return str(value).rstrip("/")


class KeyFilePath(click.Path):
    """A file of encryption keys, one per line. Its path is made absolute and keeps its links, which lead elsewhere after a rotation."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The absolute path."""
        path = Path(str(super().convert(value, param, ctx)))
        try:
            parse_key_file(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            self.fail(f"{str(path)!r} cannot be used: {error}", param, ctx)
        return str(path.absolute())


class EncryptionKeys(click.ParamType[tuple[str, ...]]):
    """Encryption keys with white space between them, in the environment."""

    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The keys. No sentence contains one."""
        keys = value if isinstance(value, tuple) else tuple(str(value).split())
        try:
            check_keys(keys)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return keys

    @staticmethod
    def refuse_on_command_line(ctx: click.Context, param: click.Parameter, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The callback of the option: every user of the machine sees the arguments of a process."""
        if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                "keys on a command line are no secret: use --encryption-key-file, or TOWPATH_ENCRYPTION_KEYS in the environment"
            )
        return keys
