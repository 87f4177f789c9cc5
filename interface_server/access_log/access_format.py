"""The format of access lines by gunicorn's atoms, `%(h)s` and the like, and two of our own.

The format is checked once, when the process starts. What a client sent is printable ASCII in the line: a quotation mark, a backslash
and everything else in a header field is escaped as Apache does, in a target as in a URL.

No I/O here. https://docs.gunicorn.org/en/stable/settings.html#access-log-format
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Final

from interface_server.access_log.entry import AccessEntry, Fields

Atom = Callable[[AccessEntry], str]

ATOM: Final = re.compile(r"%\(([^()]*)\)s|%(.?)", re.DOTALL)
NAMED: Final = re.compile(r"\{([^{}]+)\}([ioe])")
#: Variables that gunicorn takes from WSGI's environ.
OF_ENVIRON: Final = re.compile(
    r"HTTP_|wsgi\.|gunicorn\.|REMOTE_|SERVER_|REQUEST_METHOD$|SCRIPT_NAME$|PATH_INFO$|QUERY_STRING$|RAW_URI$|CONTENT_"
)
NONE: Final = "-"

#: By name; `AccessFormat` adds those that need more than the entry.
ATOMS: Final[dict[str, Atom]] = {
    "h": lambda entry: entry.address,
    "l": lambda entry: NONE,
    "u": lambda entry: _user(entry),
    "t": lambda entry: entry.local_time,
    "r": lambda entry: entry.request,
    "m": lambda entry: entry.method or NONE,
    "U": lambda entry: _target(entry)[0] or NONE,
    "q": lambda entry: _target(entry)[2],
    "H": lambda entry: f"HTTP/{entry.version}" if entry.version else NONE,
    "s": lambda entry: str(entry.status),
    "B": lambda entry: str(entry.body_bytes),
    "b": lambda entry: str(entry.body_bytes or NONE),
    "f": lambda entry: _field(entry.fields, b"referer"),
    "a": lambda entry: _field(entry.fields, b"user-agent"),
    "T": lambda entry: str(int(entry.duration_s)),
    "M": lambda entry: str(int(entry.duration_s * 1000)),
    "D": lambda entry: str(int(entry.duration_s * 1_000_000)),
    "L": lambda entry: f"{entry.duration_s:.6f}",
    "connection": lambda entry: entry.connection or NONE,
    "reason": lambda entry: entry.why or NONE,
}


class AccessFormat:
    """One format, checked and taken apart."""

    def __init__(self, text: str, environment: Mapping[str, str] | None = None, process_id: int = 0) -> None:
        """environment, process_id: of this process, for `%({name}e)s` and `%(p)s`. Raises ValueError with a sentence about `text`."""
        if not text:
            raise ValueError("'' would make empty lines; --no-access-log makes none")
        self._environment = environment or {}
        self._process_id = process_id
        self._parts: list[str | Atom] = []
        end = 0
        for found in ATOM.finditer(text):
            self._parts += (text[end : found.start()], self._part(found))
            end = found.end()
        self._parts.append(text[end:])
        if any(not part.isprintable() for part in self._parts if isinstance(part, str)):
            raise ValueError(f"{text!r} contains a character that would break the line")

    def line(self, entry: AccessEntry) -> str:
        """The line of one request that is over."""
        return "".join(part if isinstance(part, str) else part(entry) for part in self._parts)

    def _part(self, found: re.Match[str]) -> str | Atom:
        if found[1] is None:
            if found[2] == "%":
                return "%"
            raise ValueError(f"{found[0]!r} is no atom: they are written %(h)s, and a percent sign %%")
        if found[1] in ATOMS:
            return ATOMS[found[1]]
        if found[1] == "p":
            return f"<{self._process_id}>"
        named = NAMED.fullmatch(found[1])
        if named is None:
            known = " ".join((*ATOMS, "p", "{header}i", "{header}o", "{variable}e"))
            raise ValueError(f"{found[0]!r} is no atom that is known: {known}")
        name, kind = named[1], named[2]
        if kind == "e":
            return self._variable(name)
        return _request_field(name) if kind == "i" else _response_field(name)

    def _variable(self, name: str) -> str:
        if OF_ENVIRON.match(name):
            raise ValueError(
                f"'%({{{name}}}e)s' is a variable of WSGI, which an interface server has none of: header fields are %({{name}}i)s"
            )
        return _escaped(self._environment.get(name, NONE).encode(errors="surrogateescape"))


def _request_field(name: str) -> Atom:
    key = name.lower().encode()
    return lambda entry: _field(entry.fields, key)


def _response_field(name: str) -> Atom:
    key = name.lower().encode()
    return lambda entry: _field(entry.response_fields, key)


def _field(fields: Fields, key: bytes) -> str:
    values = [value for name, value in fields if name.lower() == key]
    return _escaped(b", ".join(values)) if values else NONE


def _escaped(value: bytes) -> str:
    return "".join(
        chr(byte)
        if 0x20 <= byte < 0x7F and byte not in b'"\\'
        else f"\\{chr(byte)}"
        if byte in b'"\\'
        else f"\\x{byte:02x}"
        for byte in value
    )


def _target(entry: AccessEntry) -> tuple[str, str, str]:
    target = entry.request.split(" ")[1] if entry.target else ""
    return target.partition("?")


def _user(entry: AccessEntry) -> str:
    """The user of HTTP's Basic authentication, whether the application has asked for it or not."""
    value = next((value for name, value in entry.fields if name.lower() == b"authorization"), b"")
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return NONE
    try:
        return _escaped(b64decode(encoded.strip(), validate=True).partition(b":")[0]) or NONE
    except ValueError:
        return NONE
