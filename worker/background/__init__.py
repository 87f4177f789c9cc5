"""Background work: application instances that receive messages of shared channels, and have no client.

May import asgi/, application/, connections/, settings.py and errors.py. Begin with channel_instances.py, which has all of it.
"""
