"""A float graph in int8: its layers, their ranges, Q/DQ, and what makes up for the rounding."""
