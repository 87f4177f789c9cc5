"""Which processes are alive: leases that are renewed, and the detection of peers whose lease has expired.

May import messaging/, redis/, protocol/ and process/. lease.py and peer_counts.py are cores; the other two talk to Redis.
Begin with lease.py.
"""
