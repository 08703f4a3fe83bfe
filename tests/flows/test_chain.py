"""The whole chain on a tiny world: what it leaves, that a second run or a kill changes nothing, and its errors."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows import lifecycle
from flows.stages import CHAIN, run_stages
from flows.steps import PlainSteps
from flows.workers import threads
from models.build import EDITOR
from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import ModelReceipt, Receipt, ReceiptError, load_receipt, save_receipt, witness_path
from stores.state import State, StateBusyError
from tests.flows.checkout import Made, contents

NAMES = [stage.name for stage in CHAIN]
REFERENCES = {"copy", "copy_ae", "ceiling", "mean_fill"}
STAGES = ("one", "two", "three")
SYSTEMS = REFERENCES | {"wrong_instruction", "one_wrong_instruction", "two_wrong_instruction"}
SYSTEMS |= {f"{stage}{end}" for stage in STAGES for end in ("", "_framewise", "_true_task")}
OPEN_GATE = tuple(
    f"training.gate.{key}"
    for key in ("min_success=0", "max_wrong_instruction_success=1", "max_keep_gap_db=99", "max_colour_drift=255")
)


def receipts(made: Made) -> dict[str, Receipt]:
    return {name: Receipt.model_validate_json(text) for name, text in made.receipts.items()}


def digests(receipt: Receipt) -> set[str]:
    return {item.digest for item in (*receipt.tables.values(), *receipt.models.values())}


def test_every_stage_leaves_its_receipt_and_an_equal_witness(made: Made) -> None:
    assert sorted(made.receipts) == sorted(NAMES)
    state = made.checkout.job().state
    for name, receipt in receipts(made).items():
        assert receipt.stage == name and receipt.text() == made.receipts[name]
        assert witness_path(state, receipt).read_text() == made.receipts[name]
    assert not list(made.checkout.root.rglob("*.partial"))


def test_receipts_say_neither_when_nor_where(made: Made) -> None:
    told = "".join(made.receipts.values())
    assert str(made.checkout.root) not in told
    assert not re.search(r"\b20\d\d-\d\d", told)


def test_parents_are_what_the_stages_it_waits_for_made(made: Made) -> None:
    stages = yaml.safe_load((made.checkout.root / "dvc.yaml").read_text())["stages"]
    for name, receipt in receipts(made).items():
        waits = [Path(dep).stem for dep in stages[name]["deps"] if dep.startswith("receipts/")]
        known = {digest for dep in waits for digest in digests(receipts(made)[dep])}
        stray = {role for role, digest in receipt.parents.items() if digest not in known}
        assert stray <= {"text_encoder"}, name


def test_the_evaluation_has_all_systems_and_its_references_are_plausible(made: Made) -> None:
    report = json.loads((made.checkout.root / "metrics" / "evaluation.json").read_text())
    systems = {name: system["overall"] for name, system in report["systems"].items()}
    assert set(systems) == SYSTEMS
    assert [systems[name]["success"] for name in ("copy", "copy_ae", "mean_fill")] == [0, 0, 0]
    assert systems["ceiling"]["success"] >= 0.5
    assert systems["ceiling"]["edit_psnr"] > max(systems[name]["edit_psnr"] for name in ("copy", "mean_fill", "one"))
    assert systems["copy"]["keep_psnr"] == 50
    for stage in STAGES:
        assert systems[stage]["cases"] == 6 and systems[f"{stage}_framewise"]["cases"] == 1


def test_people_find_a_sheet_clips_and_a_report(made: Made) -> None:
    outputs = made.checkout.root / "outputs"
    for sheet in ("sheet.png", "sheet-one.png", "sheet-two.png"):
        assert (outputs / "evaluation" / sheet).stat().st_size > 10_000
    assert list((outputs / "evaluation").glob("clip_*.mp4")) and list((outputs / "edits-one").glob("*.mp4"))
    assert (outputs / "samples" / "report.html").is_file()
    for stage in ("clips", "pairs-one", "cases", "pairs-two", "pairs-three"):
        assert "Published: " in (outputs / "checks" / stage / "report.html").read_text()


def test_run_again_nothing_changes_and_nothing_is_added(made: Made) -> None:
    state = made.checkout.job().state
    before = contents(state)
    with threads(1):  # as many as the first run had
        run_stages(
            (
                *("edits-one", "requests-two", "answers-two", "pairs-two"),
                *("requests-three", "answers-three", "pairs-three", "samples", "evaluation"),
            ),
            made.checkout.job(), PlainSteps(),
        )  # fmt: skip
    assert made.checkout.receipts() == made.receipts
    assert contents(state) == before


@pytest.fixture
def empty(made: Made) -> Iterator[State]:
    """A state root with the receipts of the world and nothing they stand for."""
    state = State.at(made.checkout.root / "var" / "empty")
    shutil.copytree(made.checkout.root / "receipts", state.receipts)
    yield state
    shutil.rmtree(state.root)


@pytest.mark.parametrize(
    "stage, reason",
    [
        ("pairs-one", "rerun stage 'adopt'"),
        ("cases", "rerun stage 'clips'"),
        ("edits-one", "rerun stage 'one'"),
        ("answers-two", "rerun stage 'one'"),
        ("pairs-two", "rerun stage 'adopt'"),
        ("answers-three", "rerun stage 'two'"),
        ("pairs-three", "rerun stage 'adopt'"),
        ("samples", "rerun stage 'three'"),
        ("evaluation", "rerun stage 'three'"),
    ],
)
def test_content_that_is_gone_names_the_stage_to_rerun(made: Made, empty: State, stage: str, reason: str) -> None:
    with pytest.raises(ReceiptError, match=reason):
        run_stages((stage,), made.checkout.job(state="var/empty"), PlainSteps())


def test_a_missing_receipt_names_the_stage_to_run(made: Made) -> None:
    job = made.checkout.job(state="var/none")
    for stage, needed in (("pairs-one", "adopt"), ("cases", "clips"), ("one", "adopt"), ("edits-one", "cases")):
        with pytest.raises(ReceiptError, match=f"run stage '{needed}' first"):
            run_stages((stage,), job, PlainSteps())
    with pytest.raises(ValueError, match=r"unknown stages \['four'\]; known: clips, adopt"):
        run_stages(("clips", "four"), job, PlainSteps())


@pytest.mark.parametrize(
    "told, reason",
    [
        (("cases",), "clips.json: no receipt; run stage 'clips' first"),
        (("four",), "unknown stages"),
        (("--params", "none.yaml"), "none.yaml: no such parameter file"),
        (("--set", "seeds=1"), "no key 'seeds'"),
    ],
)
def test_the_command_tells_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...], reason: str
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["lifecycle", "--state", str(tmp_path), *told])
    with pytest.raises(SystemExit, match=reason) as ended:
        lifecycle.main()
    assert str(ended.value).startswith("moviegen-edit: ") and "\n" not in str(ended.value)


def test_a_busy_state_root_is_refused(made: Made) -> None:
    root = made.checkout.root / "var" / "busy"
    told = "import sys, time\nfrom stores.state import State\nwith State.at(sys.argv[1]).writing():\n"
    told += "    print('held', flush=True)\n    time.sleep(600)\n"
    command = [sys.executable, "-c", told, str(root)]
    with subprocess.Popen(command, cwd=made.checkout.root, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(StateBusyError, match="another pipeline is writing under"):
            run_stages(("adopt",), made.checkout.job(state="var/busy"), PlainSteps())
        holder.kill()
    with State.at(root).writing():
        assert not (root / "receipts").exists()


def test_the_candidate_is_registered_and_only_the_gate_makes_a_champion(made: Made) -> None:
    state = made.checkout.job().state
    registry = ModelRegistry(Tracking(state))
    editor = receipts(made)["three"].model(EDITOR)
    candidate = registry.fetch_alias(EDITOR, "candidate")
    assert candidate is not None and candidate.digest == editor.digest
    assert "success is" in candidate.tags["gate"] and registry.fetch_alias(EDITOR, "champion") is None
    metrics = (state.metrics / "evaluation.json").read_text()
    systems = json.loads(metrics)["systems"]
    best = max(reversed(STAGES), key=lambda stage: systems[stage]["overall"]["success"])
    try:
        (receipt,) = run_stages(("evaluation",), made.checkout.job(*OPEN_GATE), PlainSteps())
        champion = registry.fetch_alias(EDITOR, "champion")
        assert champion is not None and champion.tags["gate"] == "accepted"
        assert champion.digest == receipts(made)[best].model(EDITOR).digest
        assert receipt.figures["champion"] == best and receipts(made)["evaluation"].figures["champion"] is None
    finally:
        _restore(state, registry, editor, candidate.tags["gate"], made, metrics)


def _restore(state: State, registry: ModelRegistry, editor: ModelReceipt, gate: str, made: Made, metrics: str) -> None:
    registry._client.delete_registered_model_alias(editor.name, "champion")
    registry.annotate(editor, {"gate": gate})
    save_receipt(receipts(made)["evaluation"], state)
    (state.metrics / "evaluation.json").write_text(metrics)
    assert load_receipt(state, "evaluation").text() == made.receipts["evaluation"]
