"""TensorFlow's own chatter while it is loaded, kept from the terminal: it looks like errors to a reader and is none."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """While modules that import TensorFlow are imported, what C++ writes to stderr is held back.

    If the import fails, it is shown after all. TF_CPP_MIN_LOG_LEVEL, where the user has set it, turns all this off.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    # 3: on a machine without a GPU, level 2 still reports as an error that there is none.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with contextlib.suppress(OSError, ValueError):  # a broken stderr holds nobody up
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            with contextlib.suppress(OSError):
                os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
