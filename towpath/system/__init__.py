"""Access to the operating system: processes, private folders, standard streams, the working directory.

May import errors.py, channel_layer/process/ and channel_layer/protocol/illegal_move.py. Most of it runs before anything else is
imported, and needs the standard library only.
Begin with processes.py, then private_folder.py.
"""
