"""The user's own notes on the interface to a server in the office."""

ANSWER = "the office"
