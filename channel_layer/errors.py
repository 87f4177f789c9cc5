"""Everything that this package raises on purpose, named by what the caller can do about it.

ChannelLayerError
├── ChannelFull        a channel is at its capacity: nothing was sent; try again when its reader has caught up
├── ChannelGone        the owner of a channel is gone: nothing was sent, and nothing ever can be
├── EncryptionMismatch  the processes under this prefix have other encryption keys: nothing was started
├── InvalidMessage     a caller's bug; the text names the path of the offending value
│   ├── InvalidName    a caller's bug; a channel or group name outside of the rules
│   └── MessageTooLarge  a caller's bug; the message is larger than a channel takes
├── LayerUnavailable   Redis did not answer: the outcome is unknown
│   └── NothingSent    Redis is unreachable, or refused the call: it is known that nothing was done
│       └── LayerUnusable  a wrong password, a missing right, other encryption keys, a closed layer: the same call fails again
└── ProtocolError      a peer's bytes are not what PROTOCOL.md says; drop them and count
    └── Undecryptable  a peer has other encryption keys, or none; drop what it sent, and count
"""

from __future__ import annotations

from typing import ClassVar


class ChannelLayerError(Exception):
    """Everything that this package raises on purpose. Each class states two facts."""

    retry: ClassVar[bool] = False  #: True if the same call may succeed later
    known: ClassVar[bool] = True  #: True if it is certain that nothing was sent


class ChannelFull(ChannelLayerError):
    """The channel holds as many messages as its capacity, and nothing was sent. Try again when its reader has caught up."""

    retry = True


class ChannelGone(ChannelLayerError):
    """The process that owns the channel has ended, or its connection is over: forget the channel's name."""


class EncryptionMismatch(ChannelLayerError, ValueError):
    """The processes under this prefix have other encryption keys, or none. The text names one of them. An operator's mistake."""


class InvalidMessage(ChannelLayerError, ValueError):
    """The message holds something that is not of ASGI's types; the text names its path. A caller's bug."""


class InvalidName(InvalidMessage):
    """A channel or group name is outside of the rules of protocol/names.py. A caller's bug."""


class MessageTooLarge(InvalidMessage):
    """The message is larger than a channel takes: send a reference to the data. A caller's bug."""


class LayerUnavailable(ChannelLayerError):
    """Redis did not answer in time: the message may or may not have been sent."""

    retry, known = True, False


class NothingSent(LayerUnavailable):
    """Redis is unreachable or refused the call, and nothing was sent: the same call may be made again."""

    known = True


class LayerUnusable(NothingSent):
    """Redis or the deployment refuses this process, or the layer is closed. The same call fails until that is changed."""

    retry = False


class ProtocolError(ChannelLayerError):
    """Bytes from a peer do not follow PROTOCOL.md. Drop them and count; never let them end the reader."""


class Undecryptable(ProtocolError):
    """Bytes cannot be decrypted with the keys of this process, or are not encrypted though it has keys. The text tells which."""
