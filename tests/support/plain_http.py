"""How httpx asks a server on this machine: without TLS, and past any proxy.

A client of its own loads all certificates that this machine trusts, which takes 30 ms of the processor each time.
"""

from __future__ import annotations

import ssl
from typing import Any

PLAIN: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
