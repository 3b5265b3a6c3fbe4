"""Wiring of the platform: settings, URLs, ASGI, Celery and the embedded launcher."""

from ov2xmp.celery import app as celery_app

__all__ = ["celery_app"]
