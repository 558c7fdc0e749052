"""The same work in another process, under another hash seed."""

import os
import subprocess
import sys


def run_elsewhere(function: str, *arguments: str, hash_seed: int) -> str:
    """Call a function in a new interpreter and return what it returned.

    Args:
        function: `package.module:name`; takes and returns strings.
        arguments: For the function.
        hash_seed: PYTHONHASHSEED of the new interpreter.

    Raises:
        AssertionError: If the interpreter fails, with what it wrote.
    """
    code = (
        "import sys; from niwaki.core.registry import import_object; "
        "print(import_object(sys.argv[1])(*sys.argv[2:]), end='')"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, function, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
