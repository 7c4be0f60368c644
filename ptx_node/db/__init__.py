"""The database is the truth: typed tables, the engine, and queries that take a Session or a Connection."""

# Whoever asks for the metadata gets all of its tables.
from ptx_node.db import access_tables as _access_tables  # noqa: F401
from ptx_node.db import assessment_tables as _assessment_tables  # noqa: F401
from ptx_node.db import audit_tables as _audit_tables  # noqa: F401
from ptx_node.db import export_tables as _export_tables  # noqa: F401
from ptx_node.db import history_tables as _history_tables  # noqa: F401
from ptx_node.db import notice_tables as _notice_tables  # noqa: F401
from ptx_node.db import threshold_tables as _threshold_tables  # noqa: F401
from ptx_node.db import watch_tables as _watch_tables  # noqa: F401
