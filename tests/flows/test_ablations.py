"""Ablations on a tiny world: a variant is the chain with other values, and leaves the chain's results as they were."""

import json
from pathlib import Path

import pytest
import yaml

from flows.ablation_table import COMPARISONS, THREE, TWO, Comparison
from flows.ablations import BEGIN, END, NEEDED, PAGE, SCORES, Bench, figures_of, run, table
from flows.params import Params
from flows.settings import ROOT
from flows.stages import CHAIN
from flows.workers import threads
from models.build import EDITOR
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt
from tests.flows.checkout import Made

NAMES = [stage.name for stage in CHAIN]
(PLAIN,) = (pair for pair in COMPARISONS if pair.name == "backtranslation_over_plain")
# A stage against itself, trained with the same seeds.
NOTHING = Comparison("nothing", "stage three over stage three", THREE, THREE, "zero")


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
        found = run(bench, (PLAIN, NOTHING), seeds=1)
    assert {name: made.receipts[name] for name in NEEDED}.items() <= checkout.receipts(state).items()
    assert set(found) == {"nothing", PLAIN.name} and all(set(scores) == set(SCORES) for scores in found.values())
    for score in SCORES:
        same = found["nothing"][score]
        assert same.cases == 0 or (same.value, same.low, same.high) == (0, 0, 0)
    assert found[PLAIN.name]["edit_psnr"].cases == 2, "the clips"
    assert found[PLAIN.name]["edit_psnr"].value != 0, "another table makes another editor"
    told = table(found, 1)
    assert PLAIN.question in told and PLAIN.paper in told
    assert json.loads(json.dumps(figures_of(found)))[f"{PLAIN.name}/edit_psnr/cases"] == 2
    # With the chain's values and its seed a variant is the chain, to the last bit.
    versions = Tracking(checkout.job(state=state).state).client.search_model_versions(f"name = '{EDITOR}'")
    trained = [version.tags["digest"] for version in versions if version.tags["stage"] == "three"]
    chain = Receipt.model_validate_json(made.receipts["three"]).model(EDITOR).digest
    assert len(trained) == 2 and chain in trained


def test_the_page_has_a_place_for_the_table() -> None:
    page = Path(PAGE).read_text()
    assert page.count(BEGIN) == page.count(END) == 1 and page.index(BEGIN) < page.index(END)


def test_the_values_of_the_table_change_the_preset() -> None:
    """A value that the preset has already would compare a variant with itself."""
    preset = Params.read(ROOT / "params.yaml")
    for variant in {variant for pair in COMPARISONS for variant in (pair.new, pair.old) if variant.values}:
        for value in variant.values:
            assert Params.read(ROOT / "params.yaml", (value,)) != preset, yaml.safe_dump(value)
