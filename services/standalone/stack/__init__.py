"""Headway as separate processes on one machine, over a real Kafka and PostgreSQL: `make stack`."""
