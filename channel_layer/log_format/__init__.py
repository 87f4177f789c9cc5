"""The format of log lines in JSON, and the name of the connection in them. Loaded where `--log-format` or `--log-config` asks for it.

Imports nothing else of Towpath. It is in this package because both process packages and `serve` need it.
Begin with json_line.py.
"""
