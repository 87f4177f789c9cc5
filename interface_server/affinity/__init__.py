"""Sticky clients: which worker a client had before, and the channels that one worker alone reads.

May import channel_layer and settings.py. affinity.py and sticky_workers.py are cores.
Begin with affinity.py.
"""
