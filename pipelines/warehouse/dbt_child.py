"""The child process of `build`: runs dbt, says what it does, and ends when its parent does.

On stdout there is one line of JSON per event, as dbt's own JSON log, but only what is read of it.
"""

import gc
import json
import os
import sys
import threading
from typing import Any

_UNREAD = ("debug", "dynamic", "test")
_one_at_a_time = threading.Lock()  # events come from as many threads as models are built by


def end_with_parent() -> None:
    """Wait for the end of stdin, a pipe that the parent holds open for as long as it lives."""
    os.read(0, 1)
    os._exit(1)


def _say(event: Any) -> None:
    info = event.info
    if info.level not in _UNREAD:
        line = json.dumps({"level": info.level, "name": info.name, "msg": info.msg})
        with _one_at_a_time:
            print(line, flush=True)


def main() -> int:
    """Run dbt with the arguments of this process; returns its exit code."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    gc.disable()  # looks again and again through all that dbt has read: a sixth of the time
    from dbt.cli.main import dbtRunner

    result = dbtRunner(callbacks=[_say]).invoke(sys.argv[1:])
    if result.exception is not None:
        print(result.exception, file=sys.stderr)
    return int(not result.success)


if __name__ == "__main__":
    sys.exit(main())
