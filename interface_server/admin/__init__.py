"""The measurements of an interface server that only its admin port shows.

May import connections/, http/, and channel_layer/admin/. It is imported where --admin-port is given.
Begin with measurement.py.
"""
