"""OpenTelemetry spans of one process: where they go, how a trace goes on in header fields, and those of an application.

Imports protocol/. It is imported where --traces is given, and then needs libraries that are an extra.
Begin with tracing.py.
"""
