"""The errors a user can meet, each with the exit code that the command line gives for it."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_DEFECT = 1
EXIT_BAD_INPUT = 2
EXIT_DIVERGED = 3
EXIT_STORAGE = 4
EXIT_STOPPED = 75


class MyXTTSError(Exception):
    """Something the user can act on: the message says what is wrong, the value, where, and what to do."""

    exit_code = EXIT_DEFECT


class ConfigError(MyXTTSError):
    """A setting, an option or a settings file is wrong. Holds every problem found, not only the first."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(MyXTTSError):
    """Recordings, texts or metadata cannot be used as they are."""

    exit_code = EXIT_BAD_INPUT


class CheckpointError(MyXTTSError):
    """A checkpoint is damaged, of another model, or holds values that must not be loaded."""

    exit_code = EXIT_BAD_INPUT


class StorageError(MyXTTSError):
    """The disk cannot be written to (full, read-only, no permission), or another process owns the run directory."""

    exit_code = EXIT_STORAGE


class NonFiniteError(MyXTTSError):
    """A value that must be finite is not, at a place where continuing would lose work."""

    exit_code = EXIT_DIVERGED


class Stopped(MyXTTSError):
    """A signal stopped the run; everything is saved and the same command resumes."""

    exit_code = EXIT_STOPPED


class ClusterError(MyXTTSError):
    """Another process of the training ended or never arrived; once all run again, the same command resumes."""

    exit_code = EXIT_STOPPED
