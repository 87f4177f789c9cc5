"""Between Redis and application instances: which connections this worker takes, its packets in and out, its placement.

The twin of interface_server/connections/: interfaces.py and dispatcher.py have the same jobs in both.
May import placement/, errors.py and settings.py.
Begin with interfaces.py, then dispatcher.py.
"""
