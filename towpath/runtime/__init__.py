"""What `serve` and the commands share on this machine: run folder, markers, control socket, listen address, embedded Redis.

May import supervisord/, system/ and errors.py.
Begin with run_dir.py.
"""
