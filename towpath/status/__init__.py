"""The state of a deployment: read from Redis, checked, shown.

May import errors.py and channel_layer.
Begin with report.py.
"""
