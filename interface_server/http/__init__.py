"""HTTP, as far as all its versions share it: a request, its response, scope, proxy headers, health.

May import access_log/, connections/, groups/, queue/, transport/, timers.py, settings.py and channel_layer/protocol/, but no version
of HTTP.
Begin with exchange.py (one request and its response) and server_context.py (what all connections share).
"""
