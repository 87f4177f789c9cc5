"""The state of a deployment: read from Redis, checked, shown.

May import errors.py, channel_layer, worker/background/channel_names.py and worker/placement/placement.py; receivers.py and spread.py are
cores.
Begin with report.py.
"""
