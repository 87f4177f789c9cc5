"""Group messages on their way to sockets: membership, fan-out, and the order relative to what an owner sends.

May import transport/, settings.py and channel_layer; knows of a connection only what it declares itself.
Begin with group_members.py; delivery_order.py, push_backlog.py and group_figures.py are the cores.
"""
