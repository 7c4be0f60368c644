"""Composition root: settings become built objects here, and only here is everybody known. No logic of its own."""

from ptx_node.wiring.node import broker_url, load_rules, make_destination, make_destinations, open_database, open_store

__all__ = ["broker_url", "load_rules", "make_destination", "make_destinations", "open_database", "open_store"]
