"""Becomes a command to which sockets are passed as systemd passes them: python as_systemd.py DESCRIPTOR,… COMMAND…"""

from __future__ import annotations

import os
import sys

FIRST = 3
OUT_OF_THE_WAY = 100


def main() -> None:
    """Move the descriptors to 3 and above, name them in the environment, and execute the command."""
    descriptors = [int(number) for number in sys.argv[1].split(",")]
    for place, descriptor in enumerate(descriptors):
        os.dup2(descriptor, OUT_OF_THE_WAY + place)
    for place in range(len(descriptors)):
        os.dup2(OUT_OF_THE_WAY + place, FIRST + place)
        os.close(OUT_OF_THE_WAY + place)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(descriptors)), LISTEN_FDNAMES="towpath.socket")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
