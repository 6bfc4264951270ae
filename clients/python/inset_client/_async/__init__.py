"""The client, written once: `dev/unasync.py` makes `_sync` of it."""
