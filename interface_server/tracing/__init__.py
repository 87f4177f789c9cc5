"""The spans of an interface server: one for each HTTP request and each WebSocket.

May import connections/, groups/, and channel_layer/tracing/. It is imported where --traces is given.
Begin with traced_backend.py.
"""
