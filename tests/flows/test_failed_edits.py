"""An evaluation with a case that could not be edited says so, with the reason."""

from pathlib import Path

import pytest

from flows.evaluate import edits_by_name
from flows.job import Job
from stores.receipts import Receipt, save_receipt
from stores.schema import EDIT_REQUESTS, EDITS
from stores.state import State
from tests.world import tiny_params


def test_failed_edits_are_told_with_their_reason(tmp_path: Path) -> None:
    job = Job(tiny_params(), State.at(tmp_path))
    requests, edits = job.folder("cases"), job.folder("edits-one")
    requests.upsert(EDIT_REQUESTS, [{"id": "r", "name": "as_asked/case", "instruction": "add a dog"}])
    edits.upsert(EDITS, [{"id": "e", "request_id": "r", "status": "error", "error": "values that are not finite"}])
    for store, spec, stage in ((requests, EDIT_REQUESTS, "cases"), (edits, EDITS, "edits-one")):
        save_receipt(Receipt(stage=stage, tables={spec.name: store.publish(spec)}), job.state)
    with pytest.raises(ValueError, match="1 cases were not edited by stage one, the first for: values that are not"):
        edits_by_name(job, "one")
