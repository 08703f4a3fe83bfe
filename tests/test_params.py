"""params.yaml is complete and checked, overrides and presets go through the same checks, and comments survive."""

import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import presets
from flows.params import Params, ParamsError, overridden

ROOT = Path(__file__).resolve().parent.parent
PARAMS = ROOT / "params.yaml"
OVERLAYS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@cache
def _read() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PARAMS.read_text())
    return found


def values() -> dict[str, Any]:
    """A copy of its own for every caller: some change it."""
    return deepcopy(_read())


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no block, with its path."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def blocks(tree: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{path}{key}"
            yield from blocks(value, f"{path}{key}.")


def changed(path: str, value: object, remove: bool = False) -> dict[str, Any]:
    tree = values()
    *folders, last = path.split(".")
    place = tree
    for key in folders:
        place = place[key]
    if remove:
        del place[last]
    else:
        place[last] = value
    return tree


def test_the_committed_file_is_complete_and_valid() -> None:
    params = Params.read(PARAMS)
    assert dict(leaves(params.model_dump(mode="json"))) == dict(leaves(values()))


# Keys of these blocks are names that a user chooses: tasks, groups, stages.
FREE = {"features.pairs", "training.stages", "features.pairs.base.tasks", "training.base.groups"}
FREE |= {f"features.pairs.{stage}.tasks" for stage in ("one", "two", "three")}
FREE |= {f"training.stages.{stage}.groups" for stage in ("one", "two", "three")}
FREE |= {"features.multi_frame.animated.tasks", "features.backtranslated.tasks"}


@pytest.mark.parametrize("block", ["", *(block for block in blocks(values()) if block not in FREE)])
def test_an_unknown_key_is_refused_with_its_path(block: str) -> None:
    path = f"{block}.surprise".lstrip(".")
    with pytest.raises(ParamsError, match=f"{path}: Extra inputs"):
        Params.checked(changed(path, 1), "test")


@pytest.mark.parametrize("path", [path for path, _ in leaves(values()) if path.rpartition(".")[0] not in FREE])
def test_a_missing_key_is_refused_with_its_path(path: str) -> None:
    with pytest.raises(ParamsError, match=f"{path}: Field required"):
        Params.checked(changed(path, None, remove=True), "test")


@pytest.mark.parametrize(
    "path, value",
    [
        ("features.geometry.resolution", 0),
        ("features.quality.max_brightness", 300),
        ("features.pairs.one.validation_share", 1.0),
        ("features.pairs.one.shard", 0),
        ("training.stages.one.steps", 0),
        ("training.stages.one.ema_decay", 1.0),
        ("training.stages.one.dropout.text", -0.1),
        ("training.trainer.precision", "fp8"),
        ("inference.guidance_scale", -1),
        ("inference.precision", "int4"),
        ("evaluation.resamples", 0),
        ("evaluation.sheet_rows", 0),
        ("seed", "zero"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_path(path: str, value: object) -> None:
    with pytest.raises(ParamsError, match=f"{path}: Input should be"):
        Params.checked(changed(path, value), "test")


@pytest.mark.parametrize(
    "override, faults",
    [
        (
            "models.backbone={name: wan, surprise: 1}",
            ("models.backbone.surprise: Extra", "models.backbone.patch: Field"),
        ),
        ("models.autoencoder={name: wan}", ("models.autoencoder.patch_size: Field required",)),
        ("models.backbone.name=ltx", ("models.backbone: Input tag 'ltx' found", "'moviegen', 'wan'")),
        ("models.autoencoder={name: ltx}", ("models.autoencoder: Input tag 'ltx' found", "'tae', 'wan'")),
        ("models.backbone.heads=3", ("models.backbone: Value error, width 256 is not a multiple of heads 3",)),
    ],
)
def test_a_model_of_another_name_is_checked_as_such(override: str, faults: tuple[str, ...]) -> None:
    with pytest.raises(ParamsError) as told:
        Params.read(PARAMS, (override,))
    assert all(fault in str(told.value) for fault in faults), told.value


@pytest.mark.parametrize(
    "encoders, reason",
    [
        ("[]", "models.text.encoders: Tuple should have at least 1 item"),
        ("[{kind: t6, source: null, max_tokens: 8, dtype: float32}]", "models.text.encoders.0.kind: Input should be"),
        ("[{kind: minilm, source: null, max_tokens: 1, dtype: float32}]", "encoders.0.max_tokens: Input should be"),
        ("[{kind: minilm, source: null, max_tokens: 8, dtype: float8}]", "encoders.0.dtype: Input should be"),
        ("[{kind: minilm, source: null, max_tokens: 8}]", "models.text.encoders.0.dtype: Field required"),
        ("[{kind: minilm, source: null, max_tokens: 8, dtype: float32, x: 1}]", "encoders.0.x: Extra inputs"),
        ("[{kind: ul2, source: null, max_tokens: 8, dtype: float32}]", "'ul2' needs a source"),
        (
            "[{kind: byt5, source: google/byt5-small, max_tokens: 8, dtype: float32}]",
            "first text encoder cannot be byt5",
        ),
    ],
)
def test_text_encoders_that_cannot_be_are_refused(encoders: str, reason: str) -> None:
    with pytest.raises(ParamsError, match=reason):
        Params.read(PARAMS, (f"models.text.encoders={encoders}",))


def test_the_frame_rate_that_is_said_is_that_of_the_clips() -> None:
    assert Params.read(PARAMS, ("models.text.frame_rate_prefix=8",)).models.text.frame_rate_prefix == 8
    with pytest.raises(ParamsError, match=r"frame_rate_prefix says 16, features.geometry.frame_rate is 8"):
        Params.read(PARAMS, ("models.text.frame_rate_prefix=16",))


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ParamsError, match="2 fault") as told:
        Params.read(PARAMS, ("evaluation.resamples=-1", "features.geometry.resolution=none"))
    assert {"features.geometry.resolution", "evaluation.resamples"} <= {
        line.strip().partition(":")[0] for line in str(told.value).splitlines()
    }


def test_overrides_are_read_as_yaml_and_checked() -> None:
    told = ("seed=7", "training.stages.one.steps=3", "features.split.test_scenes=[sea, park]", "data = elsewhere ")
    params = Params.read(PARAMS, told)
    assert (params.seed, params.training.stages["one"].steps, params.data) == (7, 3, "elsewhere")
    assert params.features.split.test_scenes == ("sea", "park")


def test_overrides_leave_the_values_they_are_given_alone() -> None:
    base = values()
    assert overridden(base, "training.stages.one.steps=3") != base
    assert base == values()


@pytest.mark.parametrize(
    "override, reason",
    [
        ("seed", "not of the form"),
        ("", "not of the form"),
        ("seeds=1", "no key 'seeds'; known here: seed, data"),
        ("training.stage.one.steps=1", "no block 'stage'"),
        ("training.stages.one.step=1", "no key 'step'"),
        ("seed.deeper=1", "no block 'seed'"),
        ("=1", "no key ''"),
        ("seed=[1", "not YAML"),
    ],
)
def test_a_bad_override_says_what_is_wrong(override: str, reason: str) -> None:
    with pytest.raises(ParamsError, match=reason):
        Params.read(PARAMS, (override,))


@pytest.mark.parametrize("text, reason", [("", "no values"), ("seed: [", "not YAML"), ("- 1\n", "no values")])
def test_a_file_that_is_no_parameter_file(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=reason):
        Params.read(path, ("seed=1",))
    with pytest.raises(ParamsError, match="no such parameter file"):
        Params.read(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_preset_resolves_and_changes_only_what_it_names(name: str) -> None:
    overlay = dict(leaves(yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text())))
    base = dict(leaves(values()))
    resolved = dict(leaves(yaml.safe_load(presets.resolve(PARAMS.read_text(), _overlay(name)))))
    # A block of another name replaces the base's whole, and so does null; a block replaces a null.
    named = [path.removesuffix("name") for path in overlay if path.endswith(".name")]
    replaced = (*named, *[f"{path}." for path, value in overlay.items() if value is None])
    filled = {path for path in base if any(changed.startswith(f"{path}.") for changed in overlay)}
    kept = {path: value for path, value in base.items() if not path.startswith(replaced) and path not in filled}
    assert resolved == kept | overlay
    same = sorted(path for path, value in overlay.items() if path in kept and kept[path] == value)
    assert not same, "an overlay holds only the keys that differ"


@pytest.mark.parametrize("name", OVERLAYS)
def test_comments_survive(name: str) -> None:
    resolved = presets.resolve(PARAMS.read_text(), _overlay(name))
    said = [line.partition("#")[2].strip() for line in PARAMS.read_text().splitlines() if "#" in line]
    assert said and all(comment in resolved for comment in said)
    assert list(yaml.safe_load(resolved)) == list(values())


@pytest.mark.parametrize(
    "overlay, reason",
    [
        ("training:\n  stages:\n    one:\n      step: 3\n", "training.stages.one.step: Extra inputs"),
        (
            "features:\n  pairs:\n    one:\n      tasks: {recolor: 2}\n",
            "features.pairs.one.tasks: .*unknown task 'recolor'",
        ),
        (
            "training:\n  stages:\n    two:\n      groups: {animatedd: {weight: 1, batch: 8}}\n",
            "unknown groups .'animatedd'",
        ),
        ("evaluation: {resamples: 0}\n", "evaluation.resamples: Input should be"),
        ("evaluation: 3\n", "evaluation: Input should be"),
    ],
)
def test_a_bad_overlay_is_refused(overlay: str, reason: str) -> None:
    with pytest.raises(ParamsError, match=reason):
        presets.resolve(PARAMS.read_text(), overlay)


def test_an_empty_overlay_changes_nothing() -> None:
    assert yaml.safe_load(presets.resolve(PARAMS.read_text(), "")) == values()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the committed parameters, to which the command is pointed."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for told in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "params"]):
        subprocess.run([*git, *told], cwd=tmp_path, check=True)
    monkeypatch.setattr(presets, "ROOT", tmp_path)
    return tmp_path


def test_presets_go_on_top_of_the_committed_file_and_default_restores_it(checkout: Path) -> None:
    path = checkout / "params.yaml"
    presets.main("smoke")
    smoke = path.read_text()
    assert Params.read(path).features.geometry.resolution == 64
    presets.main("paper-5b")
    presets.main("smoke")
    assert path.read_text() == smoke
    presets.main("default")
    assert path.read_text() == PARAMS.read_text()
    with pytest.raises(SystemExit, match="no preset 'smok'; there are: default, full, long, paper-30b"):
        presets.main("smok")


def _overlay(name: str) -> str:
    return (ROOT / "presets" / f"{name}.yaml").read_text()
