"""Towpath's channel layer beside channels_redis: the applications, the loads, and the processes of their rows."""
