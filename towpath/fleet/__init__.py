"""Decisions about the processes of a `serve`: when one is replaced, restarted, killed, or ends the whole start. All are cores.

May import supervisord/process.py.
Begin with slot.py, then fleet.py.
"""
