"""The fold: from a deal's events to its state, visits and history in two times. Pure."""
