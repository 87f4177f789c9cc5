"""HTTP/1.0 and 1.1 as bytes: parser, rules for heads, encoder, pipelining.

May import http/, connections/, transport/ and settings.py. Only connection.py, request_reader.py, response_writer.py touch a socket.
Begin with connection.py.
"""
