"""Background work: application instances that receive messages of shared channels, and have no client.

May import asgi/, application/, connections/, settings.py and errors.py. channel_names.py is a
core. Begin with channel_instances.py, which decides what is received; background_work.py makes it.
"""
