"""Runs WSGI applications (PEP 3333) as ASGI instances: adapter, environ, input.

May import application/ and errors.py.
Begin with adapter.py.
"""
