"""What strategies trade through: a session of the engine, fed from files or from the market.

I/O: none
"""
