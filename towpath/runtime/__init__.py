"""Shared by `serve` and the commands on this machine: run folder, markers, control socket, listen address, embedded Redis.

May import supervisord/, system/, errors.py, interface_server/settings.py and interface_server/transport/.
Begin with run_dir.py.
"""
