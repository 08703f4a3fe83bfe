"""Ablations on a tiny world: a variant is the chain with other values, and leaves the chain's results as they were."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from flows.ablation_page import BEGIN, END, PAGE, RESULT, differences, figures_of, table, write_results
from flows.ablation_table import COMPARISONS, ONE, THREE, TWO, Comparison, Shown, Variant
from flows.ablations import NEEDED, Bench, halved, needed, run
from flows.params import Params
from flows.settings import ROOT
from flows.stages import CHAIN
from flows.workers import threads
from models.build import EDITOR
from stores.frames import pack_frames, unpack_frames
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt
from tests.flows.checkout import Made
from training.compare import COMPARED, Difference

NAMES = [stage.name for stage in CHAIN]
(PLAIN,) = (pair for pair in COMPARISONS if pair.name == "backtranslation_over_plain")
# A stage against itself, trained with the same seeds.
NOTHING = Comparison("nothing", "stage three over stage three", THREE, THREE, "zero")
HALVES = Comparison("halves", "stage three over stage three, halves", THREE, THREE, "zero", Shown.HALVES)
RUNS = {pair.name: {"seeds": 1} for pair in COMPARISONS}


@pytest.mark.parametrize("pair", COMPARISONS, ids=lambda pair: pair.name)
def test_variants_name_stages_and_values_that_there_are(pair: Comparison) -> None:
    for variant in (pair.new, pair.old):
        assert set(variant.remade) | set(variant.trained) | {variant.judged} <= set(NAMES)
        Params.read(ROOT / "params.yaml", variant.values)
        made = [*variant.remade, *variant.trained]
        assert made == [name for name in NAMES if name in made], "in the order of the chain"
        assert variant.judged in variant.trained or not variant.trained


def test_names_of_variants_are_of_one_variant_each() -> None:
    """Scores are kept by them."""
    variants = {variant for pair in COMPARISONS for variant in (pair.new, pair.old)}
    assert len({variant.name for variant in variants}) == len(variants) and TWO in variants


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_variants_are_compared_and_the_chain_is_left_as_it_was(made: Made) -> None:
    checkout, state = made.checkout, "var/ablations"
    bench = Bench(checkout.root / "params.yaml", checkout.root / state, (f"data={checkout.root / 'data'}",))
    with threads(1):  # as many as the chain had
        found = dict(run(bench, (PLAIN, NOTHING, HALVES), seeds=1))
    assert {name: made.receipts[name] for name in NEEDED}.items() <= checkout.receipts(state).items()
    assert set(found) == {"nothing", "halves", PLAIN.name} and all(
        set(scores) == set(COMPARED) for scores in found.values()
    )
    for score in COMPARED:
        same = found["nothing"][score]
        assert same.cases == 0 or (same.value, same.low, same.high) == (0, 0, 0)
    assert found[PLAIN.name]["edit_psnr"].cases == 2, "the clips"
    assert found["halves"]["edit_psnr"].cases == 2 and found["halves"]["edit_psnr"].value == 0
    assert found["halves"]["edit_psnr"].new != found["nothing"]["edit_psnr"].new, "half as long is another edit"
    assert found[PLAIN.name]["edit_psnr"].value != 0, "another table makes another editor"
    told = table(found, RUNS)
    assert PLAIN.question in told and PLAIN.paper in told
    assert json.loads(json.dumps(figures_of(found)))[f"{PLAIN.name}/edit_psnr/cases"] == 2
    # With the chain's values and its seed a variant is the chain, to the last bit.
    versions = Tracking(checkout.job(state=state).state).client.search_model_versions(f"name = '{EDITOR}'")
    trained = [version.tags["digest"] for version in versions if version.tags["stage"] == "three"]
    chain = Receipt.model_validate_json(made.receipts["three"]).model(EDITOR).digest
    assert len(trained) == 2 and chain in trained


def test_what_variants_begin_after_is_made_and_no_more() -> None:
    by_name = {pair.name: pair for pair in COMPARISONS}
    assert needed([by_name["task_embedding"]]) == ("clips", "adopt", "pairs-one", "cases", "one")
    assert needed([by_name["two_over_one"]])[-1] == "pairs-two" and needed(COMPARISONS) == NEEDED
    judged = Comparison("x", "stage two as it is", Variant("two-as-is", "two"), ONE, "")
    assert needed([judged])[-1] == "two"


def test_half_a_case_is_its_beginning() -> None:
    frames = np.arange(8 * 4 * 4 * 3, dtype=np.uint8).reshape(8, 4, 4, 3)
    case = {
        "id": "x",
        "source": pack_frames(frames),
        "truth": pack_frames(255 - frames),
        "decoys": [pack_frames(frames)],
    }
    half = halved(case)
    assert half["id"] == "x" and np.array_equal(unpack_frames(half["source"]), frames[:4])
    assert np.array_equal(unpack_frames(half["truth"]), 255 - frames[:4])
    assert np.array_equal(unpack_frames(half["decoys"][0]), frames[:4])


def test_results_come_back_from_the_record_and_others_are_left(tmp_path: Path) -> None:
    result, page = tmp_path / "ablations.json", tmp_path / "ablations.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    first, second = COMPARISONS[:2]
    nowhere = Difference(0, *[float("nan")] * 6)
    found = {name: Difference(3, 0.5, 0.25, 0.25, -0.125, 0.5, 0.0) for name in COMPARED} | {"flicker": nowhere}
    how = {"seeds": 3, "params": "params.yaml", "values": [], "commit": "c0ffee1"}
    write_results({first.name: found}, how, result, page)
    write_results({second.name: found}, how | {"seeds": 1, "values": ["seed=1"]}, result, page)
    record = json.loads(result.read_text())
    assert record["commit"] == record["params"][first.name]["commit"] == "c0ffee1"
    assert set(record["params"]) == {first.name, second.name}
    assert [record["params"][pair.name]["seeds"] for pair in (first, second)] == [3, 1]
    back = differences(record["figures"])[first.name]
    assert back["success"] == found["success"] and back["flicker"].cases == 0 and np.isnan(back["flicker"].value)
    told = page.read_text()
    assert first.question in told and second.question in told and told.startswith("before") and "after" in told
    # Run again, a comparison takes its own place.
    write_results({first.name: found | {"success": nowhere}}, how | {"seeds": 2}, result, page)
    record = json.loads(result.read_text())
    assert record["params"][first.name]["seeds"] == 2 and record["params"][second.name]["seeds"] == 1
    assert differences(record["figures"])[second.name]["success"] == found["success"]
    assert differences(record["figures"])[first.name]["success"].cases == 0


def test_the_committed_page_is_that_of_the_committed_record() -> None:
    record = json.loads(RESULT.read_text())
    assert table(differences(record["figures"]), record["params"]) in PAGE.read_text()


def test_the_page_has_a_place_for_the_table() -> None:
    page = Path(PAGE).read_text()
    assert page.count(BEGIN) == page.count(END) == 1 and page.index(BEGIN) < page.index(END)


def test_the_values_of_the_table_change_the_preset() -> None:
    """A value that the preset has already would compare a variant with itself."""
    preset = Params.read(ROOT / "params.yaml")
    for variant in {variant for pair in COMPARISONS for variant in (pair.new, pair.old) if variant.values}:
        for value in variant.values:
            assert Params.read(ROOT / "params.yaml", (value,)) != preset, yaml.safe_dump(value)
