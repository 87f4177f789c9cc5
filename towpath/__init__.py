"""The command line: parses a command, starts the processes for it, and keeps them alive. Thin on purpose."""
