"""What to sign before it is known which future comes: two stages, and what hedging is worth."""
