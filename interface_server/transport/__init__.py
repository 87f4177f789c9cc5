"""Bytes: uvloop under Twisted's interfaces, listening sockets, kernel options, keepalive, write timeouts.

Imports nothing else of Towpath but channel_layer/process/ and settings.py; TLS will live here.
Begin with endpoint.py and transport.py.
"""
