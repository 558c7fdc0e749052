"""Which channels go and which layers run in int8: what it costs, and what is proposed."""
