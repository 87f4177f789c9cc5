"""Encryption of everything that crosses Redis, for deployments that have keys: PROTOCOL.md, "Encryption".

May import protocol/, process/, settings.py and errors.py. keyring.py and agreement.py are cores; encryption.py draws nonces,
reads the key file, and logs.
Begin with keyring.py.
"""
