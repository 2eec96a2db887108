"""The ProjectX Gateway: a client that cannot double an order.

I/O: none here; `transport` and `hubs` use the network.
"""
