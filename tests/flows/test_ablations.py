"""Ablations on a tiny world: a variant is the chain with other values, and leaves the chain's results as they were."""

import json
from pathlib import Path

import pytest
import yaml

from flows.ablation_table import COMPARISONS, THREE, TWO, Comparison
from flows.ablations import BEGIN, END, PAGE, SCORES, Bench, figures_of, run, table
from flows.params import Params
from flows.settings import ROOT
from flows.stages import CHAIN, run_stages
from flows.steps import PlainSteps
from flows.workers import threads
from models.build import EDITOR
from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import Tracking
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


@pytest.mark.timeout(600)
def test_variants_are_compared_and_the_chain_is_left_as_it_was(made: Made) -> None:
    checkout = made.checkout
    bench = Bench(checkout.root / "params.yaml", checkout.root, (f"data={checkout.root / 'data'}",))
    try:
        with threads(1):
            found = run(bench, (PLAIN, NOTHING), seeds=1)
        assert checkout.receipts() == made.receipts
    finally:
        with threads(1):  # the draft is the variant's
            run_stages(("pairs-three",), checkout.job(), PlainSteps())
    assert checkout.receipts() == made.receipts
    assert set(found) == {"nothing", PLAIN.name} and all(set(scores) == set(SCORES) for scores in found.values())
    for score in SCORES:
        same = found["nothing"][score]
        assert same.cases == 0 or (same.value, same.low, same.high) == (0, 0, 0)
    assert found[PLAIN.name]["edit_psnr"].cases == 2, "the clips"
    assert found[PLAIN.name]["edit_psnr"].value != 0, "another table makes another editor"
    _trained_as_in_the_chain(made)
    told = table(found, 1)
    assert PLAIN.question in told and PLAIN.paper in told
    assert json.loads(json.dumps(figures_of(found)))[f"{PLAIN.name}/edit_psnr/cases"] == 2


def _trained_as_in_the_chain(made: Made) -> None:
    """With the chain's seed and values a variant is the chain, to the last bit: only the plain one is a new model."""
    state = made.checkout.job().state
    versions = Tracking(state).client.search_model_versions(f"name = '{EDITOR}'")
    stages = [version.tags["stage"] for version in versions]
    assert stages.count("three") == 2
    assert ModelRegistry(Tracking(state)).fetch_alias(EDITOR, "candidate") is not None


def test_the_page_has_a_place_for_the_table() -> None:
    page = Path(PAGE).read_text()
    assert page.count(BEGIN) == page.count(END) == 1 and page.index(BEGIN) < page.index(END)


def test_the_values_of_the_table_change_the_preset() -> None:
    """A value that the preset has already would compare a variant with itself."""
    preset = Params.read(ROOT / "params.yaml")
    for variant in {variant for pair in COMPARISONS for variant in (pair.new, pair.old) if variant.values}:
        for value in variant.values:
            assert Params.read(ROOT / "params.yaml", (value,)) != preset, yaml.safe_dump(value)
