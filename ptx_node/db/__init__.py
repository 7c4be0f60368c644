"""The database is the truth: typed tables, the engine, and queries that take a Session or a Connection."""
