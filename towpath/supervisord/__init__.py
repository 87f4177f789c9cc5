"""supervisord: its configuration, its XML-RPC interface, one of its processes.

May import system/ and errors.py. conf.py and process.py are cores.
Begin with conf.py.
"""
