"""`towpath serve`: starts the processes, supervises them, and stops them.

May import rollout/, status/, fleet/, runtime/, supervisord/, system/, config/, errors.py, interface_server/settings.py,
interface_server/transport/, channel_layer/log_format/, channel_layer/process/, channel_layer/redis/,
channel_layer/settings.py and channel_layer/protocol/illegal_move.py.
Begin with serve.py, then supervision.py.
"""
