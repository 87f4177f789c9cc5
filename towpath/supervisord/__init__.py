"""supervisord: its start, its configuration, its XML-RPC interface, one of its processes.

May import system/ and errors.py. conf.py and process.py are cores.
daemon.py is a program of its own, which imports nothing of ours.
Begin with conf.py.
"""
