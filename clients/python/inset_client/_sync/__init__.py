"""The client for code that waits. Made by `dev/unasync.py`: change `_async`."""
