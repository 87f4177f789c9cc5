"""The options of every command in one table, and the types that parse them.

May import errors.py, interface_server/settings.py, interface_server/access_log/, interface_server/http/, worker/settings.py,
channel_layer/settings.py, channel_layer/encryption/, channel_layer/messaging/, channel_layer/protocol/, channel_layer/redis/ and
channel_layer/errors.py.
A new option is a row in options.py, and thereby a flag, a variable and a key of the configuration file. Begin with options.py.
"""
