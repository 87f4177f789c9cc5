"""The user's own package of this name: people who work in a shipyard."""

from worker.roster import ROSTER

__all__ = ["ROSTER"]
