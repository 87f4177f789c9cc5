"""WebSockets (RFC 6455): handshake, frames, the states of a connection, its timeouts.

May import http/, access_log/, connections/, groups/, transport/, settings.py, channel_layer/protocol/ and channel_layer/process/.
connection.py, opening.py, reader.py and writer.py touch a stream.
Begin with state.py, then connection.py.
"""
