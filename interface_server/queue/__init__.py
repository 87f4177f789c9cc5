"""The wait of connections on shared channels: how long each may wait, and what the log says of long waits.

May import nothing of the package. queue_timeouts.py is a core.
Begin with queue_timeouts.py.
"""
