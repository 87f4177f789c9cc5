"""Commands and scripts of one blocking layer, with the errors of Redis as errors of the layer.

A refused command has done nothing (NothingSent). A script that fails may have done a part of its work, except where Redis refuses it as
a whole; the outcome of any other failure is unknown (LayerUnavailable).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis

from channel_layer.blocking.pool import ConnectionPool
from channel_layer.blocking.script_call import ScriptCall
from channel_layer.errors import LayerUnavailable
from channel_layer.redis.blocking.connection import pack
from channel_layer.redis.connection import Answer, Argument
from channel_layer.redis.rejection_reasons import refusal, script_error
from channel_layer.redis.scripts import PUBLISH, Script


class Commands:
    """Runs commands and scripts on the connections of one pool. For any thread."""

    __slots__ = ("pool",)

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool

    def execute(self, *command: Argument) -> Any:
        """Run one command and return its answer. Raises NothingSent, LayerUnavailable."""
        answer = self.pool.call(*command)
        if type(answer) is hiredis.ReplyError:
            raise refusal(answer)(f"Redis refused {command[0]}: {answer}")
        return answer

    def write_and_look(self, write: Sequence[Argument], look: Sequence[Argument]) -> tuple[Any, Any]:
        """Run a command that writes and one that reads, in one round trip, and return both answers. Raises as `run_script`."""
        written, seen = self.pool.exchange(pack(*write) + pack(*look), 2)
        for command, answer, error in ((write, written, refusal(written)), (look, seen, LayerUnavailable)):
            if type(answer) is hiredis.ReplyError:
                raise error(f"Redis refused {command[0]}: {answer}")
        return written, seen

    def run_script(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        """Run a script and return its answer. Raises NothingSent, LayerUnavailable."""
        answer = self.pool.call("EVALSHA", script.digest, len(keys), *keys, *arguments)
        if is_unknown_script(answer):
            answer = self.pool.call("EVAL", script.text, len(keys), *keys, *arguments)
        return accepted_by(script, answer)

    def run(self, call: ScriptCall, argument: bytes) -> Any:
        """Run the script of a prepared call and return its answer. Raises as `run_script`."""
        (answer,) = self.pool.exchange(call.packed(argument), 1)
        if is_unknown_script(answer):
            (answer,) = self.pool.exchange(call.packed_with_text(argument), 1)
        return accepted_by(call.script, answer)


def accepted_by(script: Script, answer: Answer) -> Any:
    """The answer of a script, unless it is an error. Raises NothingSent, LayerUnavailable."""
    if type(answer) is hiredis.ReplyError:
        error = refusal(answer) if script is PUBLISH else script_error(answer)  # that one publishes at its very end
        raise error(f"Redis refused the script {script.name}: {answer}")
    return answer


def is_unknown_script(answer: Answer) -> bool:
    """True if nothing was done, since Redis was restarted, or has never seen the script."""
    return is_error(answer, "NOSCRIPT")


def is_error(answer: Answer, beginning: str) -> bool:
    """True if Redis has answered with an error that begins so."""
    return type(answer) is hiredis.ReplyError and str(answer).startswith(beginning)
