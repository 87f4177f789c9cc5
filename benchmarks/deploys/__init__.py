"""Deploys and deaths: what clients see of them, measured beside servers that run the application in their own process."""
