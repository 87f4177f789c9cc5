"""Leases: how a process shows that it is alive, and how it detects that a peer's lease has expired.

May import messaging/, redis/, encryption/, protocol/, process/, errors.py and version.py. lease.py and peer_counts.py are cores; the
other files talk to Redis. Begin with lease.py.
"""
