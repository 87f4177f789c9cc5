"""Why Redis refuses a connection, in plain words: its own are short, and differ between versions and clients.

Beside it, what is known of a script that Redis has refused.
"""

from __future__ import annotations

from channel_layer.errors import LayerUnavailable, LayerUnusable, NothingSent

TOO_MANY_CLIENTS = "max number of clients reached"
#: What stands in the error, and what it means.
MEANINGS = (
    ("WRONGPASS", "the user name or the password is wrong"),
    ("invalid username-password pair", "the user name or the password is wrong"),
    ("invalid password", "the password is wrong"),
    ("NOAUTH", "it requires a password, and the URL has none"),
    ("Authentication required", "it requires a password, and the URL has none"),
    ("HELLO must be called with the client already authenticated", "it requires a password, and the URL has none"),
    (TOO_MANY_CLIENTS, "it has as many clients as its maxclients allows"),
)

#: Beginnings of errors with which Redis refuses a script before its first write.
REFUSES_ALL = ("OOM ", "READONLY ", "LOADING ", "MISCONF ", "BUSY ", "NOAUTH ", "MASTERDOWN ", "NOREPLICAS ")

#: What stands in errors that come again until an operator changes the password, or the rights of the user.
LASTING = (
    " permissions to ",
    "The user executing the script can't",
    *(sign for sign, _ in MEANINGS if sign != TOO_MANY_CLIENTS),
)

#: What stands in an error with which Redis refuses a client only for a while.
PASSING = ("LOADING ", "MASTERDOWN ", "BUSY ", "is a replica at present", TOO_MANY_CLIENTS)

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
    """True if Redis ended the connection. It may have sent the reason, which is lost then."""
    return any(sign in str(error) for sign in CUT_OFF)


def refusal(*errors: object, rotated: bool = False) -> type[NothingSent]:
    """LayerUnusable if each of these errors comes again until an operator changes something, else NothingSent.

    rotated: the password comes from a file, which may hold another one at the next attempt.
    """
    lasting = not rotated and all(any(sign in str(error) for sign in LASTING) for error in errors)
    return LayerUnusable if lasting else NothingSent


def is_passing(error: object) -> bool:
    """True if Redis refused the connection, and may accept it soon: it is starting, for one."""
    return any(sign in str(error) for sign in PASSING)


def refuses_all(error: object) -> bool:
    """True if Redis has refused the command with this error before it did anything, as it would any other write."""
    return str(error).startswith(REFUSES_ALL)


def script_error(error: object) -> type[LayerUnavailable]:
    """NothingSent, or LayerUnusable, if a script that ended with this error has certainly done nothing, else LayerUnavailable."""
    if isinstance(error, NothingSent):
        return type(error)
    return refusal(error) if refuses_all(error) else LayerUnavailable
