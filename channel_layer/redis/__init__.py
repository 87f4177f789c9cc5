"""Connections to Redis: address (from a URL or a file), TLS, Sentinel, reconnection, scripts. Nothing here knows what a packet means.

May import process/, protocol/illegal_move.py and errors.py. Every file but address.py and rejection_reasons.py touches the world.
Begin with connection.py (one connection), then managed_connection.py (one that is made again when it is lost);
blocking_connection.py is the one for code without a loop.
"""
