"""The channel layer of one process on the loop of its node, and the way to it from other loops and threads.

May import application/, protocol/, current_connection.py, errors.py, settings.py and node.py. undeliverable.py is a
core. Begin with loop_layer.py, which has the calls of the channel layer; layer.py makes them available to every loop and thread.
"""
