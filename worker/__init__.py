"""THE ROOM WHERE APPLICATIONS LIVE. Starts one application instance per connection; knows no sockets.

This file makes us a regular package on purpose: a namespace package would lose its name to any later `worker` on the path.
"""
