"""Why Redis refuses a connection, in plain words: its own are short, and differ between versions and clients.

Beside it, what is known of a script that Redis has refused.
"""

from __future__ import annotations

from channel_layer.errors import LayerUnavailable, NothingSent

#: What stands in the error, and what it means.
MEANINGS = (
    ("WRONGPASS", "the user name or the password is wrong"),
    ("invalid username-password pair", "the user name or the password is wrong"),
    ("invalid password", "the password is wrong"),
    ("NOAUTH", "it requires a password, and the URL has none"),
    ("Authentication required", "it requires a password, and the URL has none"),
    ("HELLO must be called with the client already authenticated", "it requires a password, and the URL has none"),
    ("max number of clients reached", "it has as many clients as its maxclients allows"),
)

#: Beginnings of errors with which Redis refuses a script before its first write.
REFUSES_ALL = ("OOM ", "READONLY ", "LOADING ", "MISCONF ", "BUSY ", "NOAUTH ", "MASTERDOWN ", "NOREPLICAS ")

#: The other side ended the connection before or while a command was written.
CUT_OFF = ("Broken pipe", "Connection reset by peer")


def explained(error: object) -> str:
    """The error as Redis sent it, with its meaning in front if that is known."""
    text = str(error)
    meaning = next((meaning for sign, meaning in MEANINGS if sign in text), None)
    return text if meaning is None else f"{meaning} ({text})"


def why_unreachable(error: OSError, tls: bool) -> str:
    """The reason why no connection could be made, which is never empty. tls: it was to be one with TLS."""
    if isinstance(error, TimeoutError):  # Redis takes the beginning of TLS for half a command, and waits for its end
        return "no answer; a port without TLS gives none to rediss://" if tls else "no answer"
    return str(error) or type(error).__name__


def is_rejection(error: object) -> bool:
    """True if Redis answered, and refused the connection. The next attempt most likely ends in the same way."""
    return any(sign in str(error) for sign, _ in MEANINGS)


def is_cut_off(error: object) -> bool:
    """True if Redis ended the connection. It may have sent the reason, which redis-py does not read then."""
    return any(sign in str(error) for sign in CUT_OFF)


def script_error(error: object) -> type[LayerUnavailable]:
    """NothingSent if a script that ended with this error has certainly done nothing, else LayerUnavailable."""
    nothing_done = isinstance(error, NothingSent) or str(error).startswith(REFUSES_ALL)
    return NothingSent if nothing_done else LayerUnavailable
