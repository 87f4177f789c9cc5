"""The access log: one line for each answered request, in our own form or in the one of `--access-log-format`, as text or as JSON.

May import connections/interfaces.py. entry.py and access_format.py are cores.
Begin with access_log.py.
"""
