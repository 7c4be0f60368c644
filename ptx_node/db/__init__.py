"""The database is the truth: typed tables, the engine, and queries that take a Session or a Connection."""

from ptx_node.db import access_tables as _access_tables  # noqa: F401 - whoever asks for the metadata gets all of its tables
