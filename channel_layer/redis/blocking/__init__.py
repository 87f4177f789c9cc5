"""Connections to Redis for code without an event loop: the blocking layer, the thread of the lease, the commands of `towpath`.

May import address.py, address_file.py, rejection_reasons.py, tls.py, scripts.py; process/ and errors.py. Every file touches the world.
Begin with connection.py (one connection); timed_socket.py is below it, client.py and primary_finder.py are above.
"""
