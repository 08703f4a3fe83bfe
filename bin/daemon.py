"""Start and stop background processes: `daemon.py start NAME COMMAND...`, `stop NAME`, `alive NAME`.

Each runs in a session of its own, so that Ctrl-C in a make run leaves it alone, and writes to
.prefect/daemons/NAME.log (not beside Prefect's own files: it has a server.pid too). The pid file also
holds the start time: a reused pid is never mistaken for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

FOLDER = Path(__file__).resolve().parent.parent / ".prefect" / "daemons"
GRACE_SECONDS = 20


def find(name: str) -> psutil.Process | None:
    """The process recorded under `name`, if it still runs."""
    try:
        record = json.loads((FOLDER / f"{name}.pid").read_text())
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["started"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def start(name: str, command: list[str]) -> None:
    """Start `command` unless `name` runs already."""
    if find(name):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{name}.log", "ab") as log, open(os.devnull, "rb") as nothing:
        child = subprocess.Popen(command, stdin=nothing, stdout=log, stderr=log, start_new_session=True)
    started = psutil.Process(child.pid).create_time()
    (FOLDER / f"{name}.pid").write_text(json.dumps({"pid": child.pid, "started": started}))


def stop(name: str) -> None:
    """Ask `name` and its children to end; insist after a while."""
    process = find(name)
    if process:
        family = [process, *process.children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
        for straggler in alive:
            straggler.kill()
        psutil.wait_procs(alive, timeout=5)
    (FOLDER / f"{name}.pid").unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start", name, *command] if command:
            start(name, command)
            time.sleep(0.1)
        case ["stop", name]:
            stop(name)
        case ["alive", name]:
            return 0 if find(name) else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
