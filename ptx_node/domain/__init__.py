"""Frozen dataclasses and rules of the field: standard library and numpy only, no I/O."""
