"""The admin listener of one process: what it does and how it is, for monitoring and probes, on a port of its own.

Imports process/ and settings.py. It knows a node by its methods alone, and is imported where --admin-port is given.
Begin with metrics.py, which lists what is exported, and admin.py, which puts the parts together.
"""
