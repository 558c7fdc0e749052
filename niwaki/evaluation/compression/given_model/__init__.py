"""A model as somebody gave it, made ready to be called, copied and changed."""
