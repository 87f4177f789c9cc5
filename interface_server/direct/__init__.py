"""Direct dispatch: which worker gets a request without the shared channel, since it has invited that.

May import channel_layer. inviting_workers.py is a core.
Begin with inviting_workers.py.
"""
