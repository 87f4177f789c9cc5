"""Between sockets and Redis: the owner of each connection, the effect of each packet, and the timeouts of the queue.

May import groups/, affinity/, direct/, queue/, settings.py and channel_layer; sees sockets only through the protocols of interfaces.py.
Begin with interfaces.py, then transitions.py (the table of states), connection.py, and dispatcher.py (packets in).
"""
