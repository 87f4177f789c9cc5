"""The channel layer for code without an event loop: Django views, Celery tasks, scripts. Plain sockets, no threads.

May import the cores of application/ (capacities.py, shared_commands.py), messaging/entry.py, messaging/group_sequence.py,
encryption/, redis/, protocol/, process/, settings.py and errors.py. Begin with blocking_layer.py, which has the calls;
pool.py has the connections that they borrow.
"""
