"""`towpath serve`: starts the processes, supervises them, and stops them.

May import rollout/, status/, fleet/, runtime/, supervisord/, system/ and config/.
Begin with serve.py, then supervision.py.
"""
