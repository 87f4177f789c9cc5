"""PROTOCOL.md as code: names, keys, packets, events, flow control. Values only; nothing here knows Redis.

May import process/log_values.py and errors.py, nothing else. An author of a worker in another language reads this folder and
channel_layer/scripts/. Begin with packets.py.
"""
