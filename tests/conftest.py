"""What every test relies on."""

import signal

from hypothesis import settings

# Started in the background by a shell, pytest and all that it starts would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no reason to fail.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
