"""Changes of a running `serve`: a reload, a scale, a worker that asks for its successor.

May import status/, fleet/, runtime/, supervisord/ and system/.
Begin with rollout.py, then reload.py.
"""
