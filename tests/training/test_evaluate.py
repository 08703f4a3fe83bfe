"""Laws of the report: order and copies change nothing, scenes are the unit of chance, nothing undefined is a number."""

import json
import random
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from models.success import CaseScore, Conditions
from training.evaluate import Evaluation, Figures, ScoredCase, evaluate

FIGURES = tuple(name for name in Figures.model_fields if name not in ("cases", "keep_cases"))


def _score(edit: float | None = 20.0, keep: float | None = 30.0, success: bool = True) -> CaseScore:
    return CaseScore(
        edit_psnr=edit,
        keep_psnr=keep,
        colour_drift=None if keep is None else 1.5,
        flicker=None,
        detail_ratio=1.0,
        edit_share=0.1,
        keep_share=0.0 if keep is None else 0.8,
        conditions=Conditions(True, success, True, None if keep is None else True, True),
    )


def _scored(
    name: str,
    score: CaseScore,
    *,
    system: str = "one",
    task: str = "add",
    scene: str = "",
    kind: Literal["picture", "clip"] = "picture",
) -> ScoredCase:
    return ScoredCase(case_id=name, system=system, task=task, scene=scene or name, kind=kind, score=score)


def _world(seed: int = 0, cases: int = 40, systems: Sequence[str] = ("one", "two")) -> list[ScoredCase]:
    rng = np.random.default_rng(seed)
    scored = []
    for i in range(cases):
        task, scene = ("add", "remove", "style")[i % 3], f"scene{rng.integers(cases // 4)}"
        for system in systems:
            keep = None if task == "style" else float(rng.normal(30, 3))
            score = _score(float(rng.normal(20, 3)), keep, bool(rng.random() < 0.6))
            scored.append(
                _scored(f"{i:03}", score, system=system, task=task, scene=scene, kind="clip" if i % 2 else "picture")
            )
    return scored


def _report(cases: Sequence[ScoredCase], seed: int = 7, resamples: int = 200) -> Evaluation:
    return evaluate(cases, seed=seed, resamples=resamples)


def _overall(cases: Sequence[ScoredCase]) -> Figures:
    (system,) = _report(cases).systems.values()
    return system.overall


def test_the_order_of_the_cases_changes_nothing() -> None:
    cases = _world()
    shuffled = cases.copy()
    random.Random(1).shuffle(shuffled)
    assert _report(shuffled).to_json() == _report(cases).to_json()


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    cases = _world()
    assert _report(cases, seed=3) == _report(cases, seed=3)
    one, other = (_report(cases, seed=seed).systems["one"].overall for seed in (3, 4))
    assert one.edit_psnr == other.edit_psnr
    assert (one.edit_psnr_low, one.edit_psnr_high) != (other.edit_psnr_low, other.edit_psnr_high)


def test_more_cases_of_the_same_scenes_bring_no_certainty() -> None:
    """Clustering: each case three times over is no new evidence."""
    cases = _world(systems=("one",))
    tripled = [case.model_copy(update={"case_id": f"{case.case_id}/{i}"}) for case in cases for i in range(3)]
    once, thrice = _overall(cases), _overall(tripled)
    assert thrice.cases == 3 * once.cases
    for name in FIGURES:
        assert getattr(thrice, name) == getattr(once, name), name


def test_cases_that_share_scenes_are_less_certain_than_cases_that_do_not() -> None:
    scores = [_score(success=i < 20) for i in range(40)]
    alone = _overall([_scored(f"{i}", score) for i, score in enumerate(scores)])
    shared = _overall([_scored(f"{i}", score, scene=f"scene{i // 10}") for i, score in enumerate(scores)])
    assert alone.success == shared.success == 0.5
    assert shared.success_high - shared.success_low > alone.success_high - alone.success_low > 0


def test_one_scene_gives_an_interval_without_width() -> None:
    figures = _overall([_scored(f"{i}", _score(20.0 + i, success=i % 2 == 0), scene="only") for i in range(5)])
    assert figures.scenes == 1
    assert figures.edit_psnr_low == figures.edit_psnr == figures.edit_psnr_high == 22.0
    assert figures.success_low == figures.success == figures.success_high == 0.6


def test_the_interval_covers_the_figure_and_matches_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(20, 2, 31)
    figures = evaluate([_scored(f"{i}", _score(v)) for i, v in enumerate(values)], seed=0, resamples=4000)
    overall = figures.systems["one"].overall
    plain = np.median(rng.choice(values, (4000, 31)), axis=1)
    low, high = np.percentile(plain, (2.5, 97.5))
    assert overall.edit_psnr == pytest.approx(float(np.median(values)), abs=1e-4)
    assert overall.edit_psnr_low == pytest.approx(low, abs=0.25)
    assert overall.edit_psnr_high == pytest.approx(high, abs=0.25)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_medians_are_those_of_numpy_for_even_and_odd_counts(count: int) -> None:
    values = np.random.default_rng(count).normal(20, 3, count)
    figures = _overall([_scored(f"{i}", _score(v)) for i, v in enumerate(values)])
    assert figures.edit_psnr == pytest.approx(float(np.median(values)), abs=1e-4)


def test_a_task_counts_once_however_many_cases_it_has() -> None:
    common = [_scored(f"a{i}", _score(10.0, success=False), task="add") for i in range(9)]
    rare = [_scored("r", _score(30.0, success=True), task="remove")]
    figures = _overall(common + rare)
    assert figures.edit_psnr == 20.0
    assert figures.success == 0.5
    assert figures.success_plain == 0.1


def test_pictures_clips_and_tasks_are_reported_apart() -> None:
    report = _report(_world()).systems["two"]
    assert report.pictures is not None and report.clips is not None
    assert report.pictures.cases + report.clips.cases == report.overall.cases == 40
    assert list(report.tasks) == ["add", "remove", "style"]
    assert sum(task.cases for task in report.tasks.values()) == 40


def test_systems_are_reported_alone() -> None:
    cases = _world()
    alone = _report([case for case in cases if case.system == "two"]).systems["two"]
    assert _report(cases).systems["two"] == alone


def test_what_is_not_defined_is_null_and_counted() -> None:
    style = [_scored(f"s{i}", _score(keep=None), task="style") for i in range(3)]
    figures = _overall([*style, _scored("a", _score(keep=28.0))])
    assert figures.cases == 4 and figures.keep_cases == 1
    assert figures.keep_psnr == 28.0
    assert figures.flicker is None
    only_style = _report(style).systems["one"]
    assert only_style.clips is None
    assert only_style.overall.keep_psnr is None and only_style.overall.keep_psnr_low is None
    assert only_style.overall.failed.keeps_rest is None


def test_failures_are_shares_of_the_cases_a_condition_applies_to() -> None:
    cases = [_scored(f"{i}", _score(keep=None if i < 2 else 30.0, success=i > 0)) for i in range(4)]
    failed = _overall(cases).failed
    assert failed.beats_mean_fill == 0.25
    assert failed.beats_source == 0 and failed.keeps_rest == 0


def test_the_json_is_nested_numbers_and_nulls_of_four_decimals() -> None:
    text = _report(_world()).to_json()
    assert "NaN" not in text

    def leaves(node: object) -> list[object]:
        return [leaf for child in node.values() for leaf in leaves(child)] if isinstance(node, dict) else [node]

    numbers = leaves(json.loads(text))
    assert all(leaf is None or isinstance(leaf, int | float) for leaf in numbers)
    assert all(round(leaf, 4) == leaf for leaf in numbers if isinstance(leaf, float))
    assert Evaluation.model_validate_json(text).to_json() == text


def test_a_case_scored_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="scored twice for system 'one'"):
        _report([_scored("a", _score()), _scored("a", _score())])


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ValueError, match="no scored cases"):
        _report([])
    with pytest.raises(ValueError, match="at least 1"):
        _report([_scored("a", _score())], resamples=0)
