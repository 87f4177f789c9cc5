"""HTTP/1.0 and 1.1 as bytes: parser, rules for heads, encoder, pipelining.

May import http/, access_log/, connections/, groups/, transport/, settings.py, channel_layer/protocol/ and channel_layer/process/. Only
connection.py, request_reader.py and response_writer.py touch a socket.
Begin with connection.py.
"""
