"""The user's code and what it needs around it: loading it, isolating its imports, its threads, its context variables.

May import errors.py and settings.py.
Begin with loader.py.
"""
