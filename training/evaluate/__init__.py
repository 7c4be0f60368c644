"""Judging a model on patients it has never seen, through the node's own prediction code.

`cases` what is read; `judge` one row a case; `tables` figures from rows alone; `figures` and `report` what a person looks at.
"""
