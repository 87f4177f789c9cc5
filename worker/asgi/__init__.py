"""Runs ASGI applications: the host, one instance per connection, and the state machines of what it may send.

May import wsgi/, application/ and connections/. http_state.py, websocket_state.py, header_fields.py and capacity.py are cores.
Begin with host.py and instance.py.
"""
