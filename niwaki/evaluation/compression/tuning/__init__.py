"""A network that was cut, trained on."""
