"""A local ProjectX Gateway: REST, both hubs, market replay and faults on 127.0.0.1.

I/O: none here; `app` listens on a socket.
"""
