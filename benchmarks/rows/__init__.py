"""The rows of the table, in the order of the page: which contestants, under which load, held against which goals."""

from __future__ import annotations

from benchmarks.rows import of_applications, of_layer, of_scaling, of_servers

ROWS = (*of_servers.ROWS, *of_applications.ROWS, *of_scaling.ROWS, *of_layer.ROWS)

__all__ = ["ROWS"]
