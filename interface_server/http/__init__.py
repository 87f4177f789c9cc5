"""What HTTP means in every version: a request, its response, scope, proxy headers, health, access log.

May import connections/, groups/, transport/, timers.py and settings.py, but no version of HTTP.
Begin with exchange.py (one request and its response) and server_context.py (what all connections share).
"""
