"""One schedule, told from its beginning to its end: `python -m tests.simulation SEED [RULE THAT IS SWITCHED OFF]`."""

from __future__ import annotations

import contextlib
import sys

from tests.simulation.rules import switched_off
from tests.simulation.schedules import run, story

with switched_off(sys.argv[2]) if len(sys.argv) > 2 else contextlib.nullcontext():
    print(story(sys.argv[1], *run(sys.argv[1])))
