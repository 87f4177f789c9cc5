"""`towpath serve`: starts the processes, supervises them, and stops them.

May import rollout/, status/, fleet/, runtime/, supervisord/, system/, config/, errors.py, interface_server/settings.py,
interface_server/transport/, channel_layer/process/ and channel_layer/redis/.
Begin with serve.py, then supervision.py.
"""
