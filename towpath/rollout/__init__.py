"""Changes of a running `serve`: a reload, a scale, a worker that asks for its successor.

May import status/, fleet/, runtime/, supervisord/, system/, errors.py, channel_layer/process/ and
channel_layer/protocol/illegal_move.py.
Begin with rollout.py, then reload.py.
"""
