"""The state of a deployment: read from Redis, checked, shown.

May import errors.py, channel_layer and worker/background/channel_names.py; receivers.py is a core.
Begin with report.py.
"""
