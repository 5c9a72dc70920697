"""How long from an accepted event to what follows from it, in both shapes, at a steady rate."""
