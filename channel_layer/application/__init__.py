"""Channels of applications: queues in the memory of a process, and shared channels in Redis, for messages of any type.

May import messaging/, redis/, protocol/, process/, current_connection.py, errors.py, settings.py and node.py. capacities.py and
group_channels.py are cores. Begin with loop_layer.py, which has the calls of the channel layer; layer.py makes them available to every
loop and thread.
"""
