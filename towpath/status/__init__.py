"""The state of a deployment: read from Redis, checked, shown.

May import errors.py.
Begin with report.py.
"""
