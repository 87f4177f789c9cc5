"""Between Redis and application instances: which connections this worker takes, its packets in and out, its placement.

The twin of interface_server/connections/: the same file names for the same jobs. May import errors.py and settings.py.
Begin with interfaces.py, then dispatcher.py.
"""
