"""WebSockets (RFC 6455): handshake, frames, the states of a socket, its timeouts.

May import http/, connections/, transport/ and settings.py. connection.py, reader.py, writer.py and frame_parser.py touch a socket.
Begin with state.py, then connection.py.
"""
