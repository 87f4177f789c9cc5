"""`towpath serve`: starts the processes, supervises them, replaces them one after another.

May import status/, fleet/, runtime/, supervisord/, system/ and config/.
Begin with serve.py, then supervision.py and rollout.py.
"""
