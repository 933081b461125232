"""Runs by Celery: real Redis, real workers with environments of their own, real services."""
