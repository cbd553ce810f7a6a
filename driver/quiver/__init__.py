"""Quiver: what users import."""
