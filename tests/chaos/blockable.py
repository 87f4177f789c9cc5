"""`towpath`, whose loop can be stopped from outside for ten seconds: SIGUSR2. The interpreter runs on, and so do other threads.

For a worker it is what an application does that sleeps; an interface server has no application that could do it.
"""

from __future__ import annotations

import signal
import time

from towpath.__main__ import main

BLOCKED_S = 10.0

if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(BLOCKED_S))
    main()
