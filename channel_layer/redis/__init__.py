"""Connections to Redis: address (from a URL or a file), TLS, Sentinel, reconnection, scripts. Nothing here knows what a packet means.

May import redis/blocking/, process/, protocol/illegal_move.py and errors.py. Every file but address.py and rejection_reasons.py touches the
world. Begin with connection.py (one connection), then managed_connection.py (one that is made again when it is lost); blocking/ is for
code without a loop.
"""
