"""The commands: each gets its options from the table, checks them as far as possible, and starts its work.

May import app_check.py, serve/, rollout/, overview/, status/, runtime/, supervisord/, system/, config/, errors.py,
interface_server/__main__.py, channel_layer/process/, channel_layer/settings.py, channel_layer/version.py, worker/__main__.py,
worker/application/, worker/settings.py and worker/errors.py.
Begin with group.py, then processes.py.
"""
