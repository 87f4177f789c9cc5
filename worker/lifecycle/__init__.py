"""How a worker runs and leaves: its event loop, drain, shutdown deadline, watchdog, recycling.

May import asgi/, application/, connections/ and settings.py.
Begin with drain.py; shutdown_deadline.py and recycling.py are cores.
"""
