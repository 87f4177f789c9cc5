"""The command line: finds out what was asked for, starts it, and keeps it alive. Thin on purpose."""
