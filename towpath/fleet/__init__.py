"""Decisions about the processes of a `serve`: when to replace, restart or kill one, and when to give up. All files are cores.

May import supervisord/process.py and channel_layer/protocol/illegal_move.py.
Begin with slot.py, then fleet.py.
"""
