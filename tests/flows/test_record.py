"""A record says what was measured, on what, and is named like its file."""

import json
from pathlib import Path

from flows.record import write_record


def test_the_record_says_what_was_measured_on_what(tmp_path: Path) -> None:
    path = tmp_path / "results" / "gates.json"
    made = write_record(path, {"steps": 2}, {"loss_end": 1.0})
    assert json.loads(path.read_text()) == made
    assert list(made) == ["name", "commit", "date", "machine", "params", "figures"]
    assert (made["name"], made["figures"], made["params"]) == ("gates", {"loss_end": 1.0}, {"steps": 2})
    assert all(made[name] for name in ("commit", "date", "machine"))
