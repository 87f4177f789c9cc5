"""TLS to Redis, with the names and values that redis-py has for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the address of Redis is read by each command; what speaks TLS loads it
    import ssl

CERT_REQS = ("required", "none")


@dataclass(frozen=True, slots=True)
class Tls:
    """The parameters of TLS; paths are those of PEM files. Raises ValueError for a value that does not exist."""

    ssl_ca_certs: str | None = None  #: instead of the system's certificates
    ssl_certfile: str | None = None  #: our own, for a server that requires one
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str = "required"  #: `none`: any certificate is accepted
    ssl_check_hostname: bool = True  #: False: the certificate may be for another name

    def __post_init__(self) -> None:
        if self.ssl_cert_reqs not in CERT_REQS:
            raise ValueError(f"ssl_cert_reqs is one of {', '.join(CERT_REQS)}")

    def context(self) -> ssl.SSLContext:
        """The context for a connection, the same one until one of its files changes. Raises OSError for a file that cannot be
        read.
        """
        files = filter(None, (self.ssl_ca_certs, self.ssl_certfile, self.ssl_keyfile))
        return _context(self, tuple(Path(file).stat().st_mtime_ns for file in files))


@lru_cache(maxsize=2)
def _context(tls: Tls, _written: tuple[int, ...]) -> ssl.SSLContext:
    """Make a context. To read the system's certificates takes some 30 ms, in which the loop does nothing else."""
    import ssl

    context = ssl.create_default_context(cafile=tls.ssl_ca_certs)
    if tls.ssl_certfile:
        context.load_cert_chain(tls.ssl_certfile, tls.ssl_keyfile)
    believes_anybody = tls.ssl_cert_reqs == "none"
    context.check_hostname = tls.ssl_check_hostname and not believes_anybody
    if believes_anybody:
        context.verify_mode = ssl.CERT_NONE
    return context
