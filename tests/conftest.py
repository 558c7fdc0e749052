"""What every test relies on."""

import signal

# Started in the background by a shell, pytest and all that it starts would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
