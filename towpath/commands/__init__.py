"""The commands: each gets its options from the table, checks what can be checked, and starts the work that it names.

May import app_check.py, serve/, rollout/, status/, runtime/, system/ and config/.
Begin with group.py, then processes.py.
"""
