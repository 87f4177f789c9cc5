"""Imported only while a request is served, as lazy imports are."""

TOOL = "adze"
