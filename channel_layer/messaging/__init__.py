"""Everything that travels through a Redis stream or a publish: shared channels, inboxes, outboxes, groups.

May import redis/, protocol/ and process/. deferral.py, generations.py and membership.py are cores; the others talk to Redis.
Begin with outbox.py and inbox.py, which carry packets between two processes.
"""
