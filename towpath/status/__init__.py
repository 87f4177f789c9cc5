"""The state of a deployment: read from Redis, checked, changed (rebalance). overview/ shows it.

May import errors.py, channel_layer, worker/background/channel_names.py and worker/placement/placement.py. state.py, receivers.py and
spread.py are cores.
Begin with state.py.
"""
