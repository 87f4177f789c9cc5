"""Access to the operating system: processes, private folders, standard streams, the working directory.

May import errors.py and channel_layer/process/. Most of it runs before anything else is imported, and needs the standard
library only.
Begin with processes.py, then private_folder.py.
"""
