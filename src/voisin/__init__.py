"""Voisin: the open marketplace for computing power."""
