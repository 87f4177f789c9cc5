"""Redis as it stands in other people's houses: behind TLS, certificates of both sides, a user and passwords.

The embedded server speaks no TLS; Debian's does. Where there is none, the tests that need it are skipped by name.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="there is no redis-server (Debian: apt install redis-server)")

USER, PASSWORD, SENTINEL_PASSWORD = "bargee", "lock/gate@7", "keeper:of?locks"  # what a URL does not like

OPERATIONS = Path(__file__).parents[2] / "OPERATIONS.md"


def permissions() -> str:
    """What OPERATIONS.md asks for, and no more; `select` for databases."""
    found = re.search("an ACL user must be allowed.*?`(resetchannels [^`]*)`", OPERATIONS.read_text())
    assert found is not None
    return f"{found[1]} +select"


class Guard:
    """Certificates in a folder, and what servers, Sentinels and clients are told of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        both = authority.issue_cert("127.0.0.1", "localhost")
        self.authority, self.certificate, self.key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(self.authority)
        both.private_key_pem.write_to_path(self.key)
        both.cert_chain_pems[0].write_to_path(self.certificate)

    @property
    def parameters(self) -> str:
        """Of a URL."""
        return f"ssl_ca_certs={self.authority}&ssl_certfile={self.certificate}&ssl_keyfile={self.key}"

    def configuration(self, port: int) -> str:
        """Of servers and Sentinels alike: who has no certificate of ours is not listened to."""
        return (
            f"port 0\ntls-port {port}\ntls-cert-file {self.certificate}\ntls-key-file {self.key}\n"
            f"tls-ca-cert-file {self.authority}\ntls-replication yes\ntls-auth-clients yes\n"
        )

    def server(self, port: int) -> str:
        """Replication is done by the default user."""
        user = f"user {USER} on >{PASSWORD} {permissions()}\n"
        return f"{self.configuration(port)}requirepass {PASSWORD}\nmasterauth {PASSWORD}\n{user}"

    def sentinel(self, port: int, service: str) -> str:
        """It knows no user but the default one."""
        return f"{self.configuration(port)}requirepass {SENTINEL_PASSWORD}\nsentinel auth-pass {service} {PASSWORD}\n"

    def client(self, password: str) -> dict[str, Any]:
        """Of redis-py."""
        files = {"ssl_ca_certs": self.authority, "ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        return {"ssl": True, "password": password, **{name: str(path) for name, path in files.items()}}

    @property
    def user(self) -> str:
        """In a URL, before the hosts."""
        return f"{USER}:{quote(PASSWORD, safe='')}@"
