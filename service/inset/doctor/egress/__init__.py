"""Tries, from inside a running restricted server and from a browser's place, every way by which data could leave."""
