"""Everything niwaki raises on purpose.

NiwakiError                      exit code 1
+-- ConfigError    (ValueError)             2   the YAML, or a setting, is wrong
+-- SpaceError     (ValueError)             3   a candidate is outside its space
+-- DataError      (ValueError)             4   a task's data are missing, empty or misshapen
+-- TargetError    (RuntimeError)           5   the runtime cannot measure what was asked
|   +-- TargetLostError                     5   the target's machine cannot be reached
+-- ExportError    (RuntimeError)           6   a network cannot be written as ONNX
+-- VerificationError (AssertionError)      7   an exported model does not compute what was searched
+-- RunFolderError (RuntimeError)           8   a run folder is in use, damaged, or of another study
|   +-- LedgerError                         8   the ledger itself is damaged or from another schema
+-- StudyError     (RuntimeError)           9   the search cannot go on (every candidate fails, say)

Each message says what was wanted, what came, and what to do about it.
"""

from typing import ClassVar


class NiwakiError(Exception):
    """Root of every error that niwaki raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigError(NiwakiError, ValueError):
    """The configuration file, or a setting given from Python, is wrong."""

    exit_code = 2


class SpaceError(NiwakiError, ValueError):
    """A candidate, or a description of one, lies outside its space."""

    exit_code = 3


class DataError(NiwakiError, ValueError):
    """Data of a task are missing, empty or of the wrong shape."""

    exit_code = 4


class TargetError(NiwakiError, RuntimeError):
    """The target cannot run or measure what was asked of it."""

    exit_code = 5


class TargetLostError(TargetError):
    """The target's machine cannot be reached, which says nothing about any candidate.

    A study stops here instead of condemning one candidate after the other.
    """


class ExportError(NiwakiError, RuntimeError):
    """A network cannot be written as an ONNX graph."""

    exit_code = 6


class VerificationError(NiwakiError, AssertionError):
    """An exported model does not compute what was searched."""

    exit_code = 7


class RunFolderError(NiwakiError, RuntimeError):
    """A run folder is in use, damaged, or belongs to another study."""

    exit_code = 8


class LedgerError(RunFolderError):
    """The ledger is damaged, or written by another schema."""


class StudyError(NiwakiError, RuntimeError):
    """The search as a whole cannot go on."""

    exit_code = 9
