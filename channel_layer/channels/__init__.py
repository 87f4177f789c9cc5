"""The backend of Django Channels: `"BACKEND": "channel_layer.channels.RedisChannelLayer"` in CHANNEL_LAYERS.

Nothing else imports this folder, so that everything else works without Channels. May import application/, encryption/, protocol/,
redis/address_file.py, layer.py, layer_thread.py, settings.py and errors.py. hosts.py, config.py and wrapping.py are cores. Begin with
backend.py.
"""

from channel_layer.channels.backend import RedisChannelLayer

__all__ = ["RedisChannelLayer"]
