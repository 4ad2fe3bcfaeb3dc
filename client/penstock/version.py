"""The version of this distribution.

A constant, since `importlib.metadata` takes a fifth of the time in which a command starts.
"""

__version__ = "0.1.0"
