"""What every test relies on."""

import os
import signal
import tempfile

from hypothesis import settings

# Started in the background by a shell, pytest and all that it starts would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no reason to fail.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# Where the lock of measurements is: processes that test side by side do not wait for each other.
_runtime = tempfile.TemporaryDirectory(prefix="niwaki-tests-")
os.environ["XDG_RUNTIME_DIR"] = _runtime.name
