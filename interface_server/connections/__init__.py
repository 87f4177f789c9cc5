"""Between sockets and Redis: the owner of each connection, what follows from each packet, and how long a connection waits.

May import groups/, affinity/ and settings.py; sees sockets only through the protocols of interfaces.py.
Begin with interfaces.py, then connection.py (the table of states) and dispatcher.py (packets in).
"""
