"""Inset: live Jupyter notebooks inside somebody else's web application."""

from importlib.metadata import version

__version__ = version("inset")
