"""The record of the shipped editor is read off an evaluation, nothing is lost on the way."""

import json
import sys

import pytest

from benchmarks import sampling, shipped
from benchmarks.shipped import FIGURES, STAGE, SYSTEMS, figures_of
from flows.record import RESULTS
from tests.world import ROOT


def test_figures_are_those_of_the_evaluation() -> None:
    systems = json.loads((ROOT / "metrics" / "evaluation.json").read_text())["systems"]
    figures = figures_of(systems)
    for system in SYSTEMS:
        assert figures[f"{system}/success"] == systems[system]["overall"]["success"]
    assert figures["cases"] == systems[STAGE]["overall"]["cases"]
    assert {name.split("/")[0] for name in figures} >= set(systems[STAGE]["tasks"])
    assert all(isinstance(value, int | float) for value in figures.values())


def test_the_checkout_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for module in (shipped, sampling):
        monkeypatch.setattr(sys, "argv", [module.__name__, "--state", str(ROOT)])
        with pytest.raises(SystemExit):
            module.main()
        assert "give it a state of its own" in capsys.readouterr().err


def test_the_committed_record_has_as_many_cases_as_it_promises() -> None:
    record = json.loads((RESULTS / "shipped.json").read_text())
    assert record["figures"]["cases"] == record["params"]["pictures"] + record["params"]["clips"] >= 300
    assert {f"{STAGE}/{name}" for name in FIGURES} <= set(record["figures"])
    assert record["figures"]["copy_ae/success"] == pytest.approx(0.0)
