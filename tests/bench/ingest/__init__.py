"""Ingest against a bare route of the same framework: requests and events per second."""
