"""Channels of applications: queues in the memory of a process, and shared channels in Redis, for messages of any type.

May import messaging/, redis/, protocol/, process/, current_connection.py, errors.py, settings.py and node.py. capacities.py,
shared_commands.py is a core. Begin with application_channels.py and shared_messages.py.
"""
