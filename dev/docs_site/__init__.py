"""Builds the documentation's site out of docs/ and the sources that it tells of."""
