"""Which code this is: a digest of rooms, so that rows made by other code are never taken for these, and the commit."""

import hashlib
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def code_digest(*rooms: str) -> str:
    """sha256 over the Python files of some rooms, by name and content."""
    total = hashlib.sha256()
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            total.update(f"{path.relative_to(ROOT)}\n".encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def commit() -> str:
    """The commit of this checkout, `-dirty` if files differ from it; "unknown" outside of git."""
    command = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return told or "unknown"
