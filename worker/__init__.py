"""The worker: runs one application instance per connection; knows no sockets.

This file exists so that this is a regular package: a namespace package would lose its name to any later `worker` on the path.
"""
