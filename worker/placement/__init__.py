"""Which worker keeps or takes how many WebSockets: placement decides what a worker takes, rebalancing what it hands over.

Cores. May import channel_layer.
Begin with placement.py.
"""
