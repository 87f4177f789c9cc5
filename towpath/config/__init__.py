"""The options of every command in one table, and the types that parse them.

May import errors.py and the settings of the process packages. A new option is a row in options.py.
Begin with options.py.
"""
