"""Celery app and tasks of a few lines. A message only wakes; the work is rows."""
