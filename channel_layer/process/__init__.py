"""The needs of every process of Towpath: its identity on this machine, its log, its signals.

Imports nothing else of Towpath but log_format/ and errors.py. It is in this package because both process packages need it.
Begin with log_setup.py.
"""
