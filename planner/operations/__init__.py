"""Hourly operation: what a year costs at least (``cuts``), how it is run (``schedule``), what joins both (``settle``)."""
