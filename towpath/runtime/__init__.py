"""What `serve` and the commands touch on this machine: run folder, processes, listen address, embedded Redis.

May import supervisord/ and errors.py.
Begin with run_dir.py.
"""
