"""`towpath serve`: starts a fleet, supervises it, replaces its processes one after another.

May import status/, runtime/, supervisord/ and config/. fleet.py, slot.py, startup.py, restart_backoff.py are cores.
Begin with serve.py, then supervision.py and rollout.py.
"""
