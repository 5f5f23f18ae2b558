"""What to sign before it is known which future comes: two stages, cancellation, options, the tail, and what hedging is worth."""
