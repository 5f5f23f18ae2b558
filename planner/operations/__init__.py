"""Hourly operation: what a year costs at least (``cuts``), how it is run (``schedule``), both joined (``settle``)."""
