"""HTTP/1.0 and 1.1 as bytes: parser, rules for heads, encoder, pipelining.

May import http/, connections/, transport/, settings.py and channel_layer/protocol/. Only connection.py, request_reader.py and
response_writer.py touch a socket.
Begin with connection.py.
"""
