"""Transport of bytes: uvloop with Twisted's interfaces, listening sockets, kernel options, keepalive, write timeouts, and the
time for long reads.

Imports nothing else of Towpath but channel_layer/process/ and settings.py. TLS will be added here.
Begin with transport.py and endpoint.py; byte_stream.py is what a WebSocket needs of a transport.
"""
