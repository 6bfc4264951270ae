"""How versions' bytes are kept: skeletons, and the pieces that many of them share."""
