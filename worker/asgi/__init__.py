"""Runs ASGI applications: the host, one instance per connection, and the state machines of what it may send.

May import wsgi/, application/, connections/, settings.py, errors.py and channel_layer/current_connection.py.
http_state.py, websocket_state.py, header_fields.py and capacity.py are cores. Begin with host.py and instance.py.
"""
