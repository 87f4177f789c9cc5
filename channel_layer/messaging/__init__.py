"""Packets and messages through Redis: shared channels, inboxes, outboxes and groups.

May import redis/, encryption/, protocol/, process/, settings.py and errors.py. deferral.py, entry.py, generations.py,
group_sequence.py, membership.py and node_context.py are cores; the others talk to Redis. Begin with outbox.py and inbox.py, which
carry packets between two processes.
"""
