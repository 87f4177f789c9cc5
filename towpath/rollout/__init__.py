"""Changes of a running `serve`: a reload, a scale, a worker that asks for its successor.

May import status/, fleet/, runtime/, supervisord/, system/, errors.py and channel_layer/process/.
Begin with rollout.py, then reload.py.
"""
