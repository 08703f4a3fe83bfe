"""Laws of the models: what must hold whatever the weights are."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from flows.params import Params
from flows.presets import PRESETS, resolve
from models.autoencoder import Autoencoder, AutoencoderConfig
from models.backbones.moviegen import MovieGenConfig, MovieGenTransformer
from models.backbones.protocol import TextToVideo
from models.conditioning import Condition, DropoutRates, NullCondition, drop_condition, without_source, without_text
from models.editor import EditingConfig, EditModel
from models.guidance import GuidanceScales, guided
from models.loss import outlier_penalty, velocity_error
from models.path import LinearPath
from models.sampler import euler, linear_quadratic_times
from models.shapes import LatentShape
from models.task_predictor import fit_predictor
from models.tasks import EDIT_TASKS, Task, parse_task
from models.text import TextContext, TextPart, pad_texts
from models.weights import Bundle, WeightsError, load_bundle, save_bundle

TINY = MovieGenConfig(
    name="moviegen", layers=2, width=32, hidden=64, heads=2, patch=2, max_latent_frames=8, max_rows=4, max_columns=4
)
TEXT_WIDTH, CHANNELS = 12, 4


def latents(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape or (2, CHANNELS, 2, 8, 8), generator=torch.Generator().manual_seed(seed))


def texts(count: int, length: int = 5) -> TextContext:
    return pad_texts([(latents(length, TEXT_WIDTH, seed=i),) for i in range(count)])


def condition(count: int = 2, frames: int = 2) -> Condition:
    source = latents(count, CHANNELS, frames, 8, 8, seed=7)
    return Condition(source, texts(count), torch.full((count,), int(Task.ADD)), torch.zeros(count, dtype=torch.long))


def null(frames: int = 2) -> NullCondition:
    return NullCondition(texts(1, length=2), latents(1, CHANNELS, frames, 8, 8, seed=9))


def base(seed: int = 0) -> MovieGenTransformer:
    """A base that predicts something: its zero-initialised layers are filled."""
    torch.manual_seed(seed)
    network = MovieGenTransformer(TINY, CHANNELS, (TEXT_WIDTH,))
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("copy_skip", [True, False])
@pytest.mark.parametrize("task", list(Task))
def test_a_freshly_widened_editor_equals_its_base(task: Task, copy_skip: bool) -> None:
    network, told = base(), replace(condition(), task=torch.full((2,), int(task)))
    x, t = latents(), torch.tensor([0.2, 0.9])
    before = network(x, t, told.text, told.offsets)
    editor = EditModel(network, EditingConfig(task_width=8, copy_skip=copy_skip)).eval()
    assert before.abs().max() > 0
    assert torch.equal(editor(x, t, told), before)


def test_every_new_part_of_a_fresh_editor_receives_gradient() -> None:
    editor = EditModel(base(), EditingConfig(task_width=8, copy_skip=True))
    editor(latents(), torch.tensor([0.2, 0.9]), condition()).square().sum().backward()
    new = {n: p for n, p in editor.named_parameters() if ".source." in n or "task.to_" in n or "gates" in n}
    assert len(new) == 4
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in new.values())


@torch.no_grad()
def test_padding_of_text_changes_nothing() -> None:
    network, told, x, t = base(), condition(), latents(), torch.tensor([0.2, 0.9])
    part = told.text.parts[0]
    states = torch.nn.functional.pad(part.states, (0, 0, 0, 3), value=9.0)
    padded = TextContext((TextPart(states, torch.nn.functional.pad(part.mask, (0, 3))),))
    plain, longer = (network(x, t, text, told.offsets) for text in (told.text, padded))
    assert torch.allclose(plain, longer, atol=1e-5)


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch() -> None:
    editor = EditModel(base(), EditingConfig(task_width=8, copy_skip=True)).eval()
    x, t, told = latents(), torch.tensor([0.2, 0.9]), condition()
    alone = Condition(told.source[:1], pad_texts([told.text.trimmed(0)]), told.task[:1], told.offsets[:1])
    assert torch.allclose(editor(x, t, told)[:1], editor(x[:1], t[:1], alone), atol=1e-5)


@torch.no_grad()
def test_the_temporal_position_of_a_single_frame_matters() -> None:
    network, told = base(), condition(frames=1)
    x, t = latents(2, CHANNELS, 1, 8, 8), torch.tensor([0.5, 0.5])
    assert not torch.allclose(network(x, t, told.text, told.offsets), network(x, t, told.text, told.offsets + 3))


def test_a_grid_beyond_the_position_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="position tables"):
        base()(latents(1, CHANNELS, 1, 16, 16), torch.zeros(1), texts(1), torch.zeros(1, dtype=torch.long))


def test_gradient_checkpointing_changes_no_gradient() -> None:
    grads = []
    for checkpointing in (False, True):
        network = base().train()
        network.gradient_checkpointing = checkpointing
        network(latents(), torch.tensor([0.2, 0.9]), condition().text, condition().offsets).square().sum().backward()
        grads.append([p.grad for p in network.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))


def test_velocity_leads_back_to_the_target() -> None:
    path, noise, target, t = LinearPath(), latents(seed=1), latents(seed=2), torch.tensor([0.1, 0.8])
    point = path.at(noise, target, t)
    assert torch.allclose(path.target_from_velocity(point.x_t, point.velocity, t), target, atol=1e-5)
    assert velocity_error(point.velocity, noise, target, path, t).max() == 0


@pytest.mark.parametrize(("t", "end"), [(0.0, 1), (1.0, 2)])
def test_the_path_starts_at_noise_and_ends_at_video(t: float, end: int) -> None:
    x_t = LinearPath().at(latents(seed=1), latents(seed=2), torch.full((2,), t)).x_t
    assert torch.allclose(x_t, latents(seed=end), atol=1e-4)


def test_the_schedule_has_the_51_times_of_the_paper() -> None:
    times = linear_quadratic_times(50)
    expected = [k / 250 for k in range(25)] + [0.1 + 0.004 * k + 0.8 * (k / 25) ** 2 for k in range(26)]
    assert torch.allclose(times, torch.tensor(expected), atol=1e-6)
    assert (times.diff() > 0).all()


@pytest.mark.parametrize("steps", [1, 2, 7, 250])
def test_every_schedule_goes_from_zero_to_one(steps: int) -> None:
    times = linear_quadratic_times(steps)
    assert (len(times), times[0], times[-1]) == (steps + 1, 0, 1)


def test_the_sampler_is_exact_on_a_straight_path() -> None:
    noise, target = latents(seed=1), latents(seed=2)
    found = euler(lambda x, t: target - noise, noise, linear_quadratic_times(9))
    assert torch.allclose(found, target, atol=1e-5)


@torch.no_grad()
def test_guidance_of_one_and_one_is_the_plain_velocity() -> None:
    editor = EditModel(base(), EditingConfig(task_width=8, copy_skip=True)).eval()
    x, t = latents(), torch.tensor([0.2, 0.2])
    plain = guided(editor, condition(), null(), GuidanceScales(1.0, 1.0))(x, t)
    assert torch.equal(plain, editor(x, t, condition()))


@torch.no_grad()
def test_guidance_combines_three_passes() -> None:
    editor = EditModel(base(), EditingConfig(task_width=8, copy_skip=True)).eval()
    torch.nn.init.normal_(editor.backbone.patch_embed.source.weight)
    x, t, told, everyone = latents(), torch.tensor([0.2, 0.2]), condition(), torch.ones(2, dtype=torch.bool)
    video = without_text(told, null(), everyone)
    bare, u_video, full = (editor(x, t, c) for c in (without_source(video, null(), everyone), video, told))
    expected = bare + 1.5 * (u_video - bare) + 4.0 * (full - u_video)
    assert torch.allclose(guided(editor, told, null(), GuidanceScales(1.5, 4.0))(x, t), expected, atol=1e-4)


def test_dropout_follows_its_one_number() -> None:
    told, rates = condition(4), DropoutRates(text=0.1, source=0.1, both=0.1)
    found = drop_condition(told, null(), rates, torch.tensor([0.05, 0.15, 0.25, 0.35]))
    assert found.task.tolist() == [Task.NULL, Task.NULL, Task.ADD, Task.ADD]
    kept = [bool(torch.equal(a, b)) for a, b in zip(found.source, told.source, strict=True)]
    assert kept == [True, False, False, True]
    assert found.text.trimmed(0)[0].shape[0] == 2
    assert torch.equal(found.text.trimmed(3)[0], told.text.trimmed(3)[0])


def autoencoder(linear_path: bool = False) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(
        AutoencoderConfig(
            latent_channels=4, channels=(8, 16), blocks=1, groups=4, pixel_patch=2, temporal_halvings=1,
            linear_path=linear_path,
        )
    ).eval()  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("linear_path", [False, True])
def test_one_frame_is_one_latent_frame_and_every_length_comes_back(linear_path: bool) -> None:
    network = autoencoder(linear_path)
    for frames in range(1, 34):
        found = network.encode(latents(1, 3, frames, 8, 8))
        assert found.shape == (1, *network.config.latent_shape(frames, 8, 8).as_tuple())
        assert network.decode(found, frames).shape == (1, 3, frames, 8, 8)
    assert network.config.latent_shape(1, 8, 8).frames == 1


@torch.no_grad()
def test_normalisation_is_undone_by_decoding() -> None:
    network, video = autoencoder(), latents(1, 3, 4, 8, 8)
    before = network.decode(network.encode(video), 4)
    network.set_normalisation(torch.arange(4.0), torch.arange(1.0, 5.0))
    assert torch.allclose(network.decode(network.encode(video), 4), before, atol=1e-5)


@torch.no_grad()
def test_the_linear_path_starts_as_principal_components() -> None:
    network = autoencoder(linear_path=True)
    blocks = latents(500, 4) @ latents(4, 48, seed=3)
    assert network.linear is not None
    network.linear.set_components(blocks)
    video = blocks[:4].reshape(1, 2, 2, 3, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(1, 3, 1, 8, 8)
    assert torch.allclose(network.reconstruct(network.posterior(video).mean, 1), video, atol=1e-3)


def test_the_outlier_penalty_sees_a_planted_outlier() -> None:
    calm = latents(1, 4, 1, 16, 16).clamp(-1, 1)
    spiked = calm.clone()
    spiked[0, :, 0, 3, 3] = 40.0
    assert outlier_penalty(calm, 3.0) == 0
    assert outlier_penalty(spiked, 3.0) > 0


@pytest.mark.parametrize(("preset", "low", "high"), [("paper-30b", 28.9e9, 29.5e9), ("paper-5b", 4.8e9, 5.2e9)])
def test_paper_presets_have_the_papers_size(preset: str, low: float, high: float) -> None:
    text = resolve(Path(PRESETS.parent / "params.yaml").read_text(), (PRESETS / f"{preset}.yaml").read_text())
    params = Params.checked(yaml.safe_load(text), preset)
    with torch.device("meta"):
        network = TextToVideo(MovieGenTransformer(params.models.backbone, 16, (4096, 1472, 1280)))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert low < count < high, f"{count / 1e9:.2f}B parameters"


def test_the_papers_clip_is_73728_tokens() -> None:
    config = AutoencoderConfig(
        latent_channels=16, channels=(128, 256, 512, 512), blocks=2, groups=32, pixel_patch=1, temporal_halvings=3,
        linear_path=False,
    )  # fmt: skip
    shape = config.latent_shape(256, 768, 768)
    assert shape == LatentShape(16, 32, 96, 96)
    assert shape.tokens(2) == 73728


def test_the_predictor_learns_a_separable_problem_and_never_says_null() -> None:
    tasks = torch.tensor([int(Task.ADD), int(Task.REMOVE)] * 8)
    rows = [(torch.full((3, TEXT_WIDTH), 1.0 if task == Task.ADD else -1.0),) for task in tasks]
    predictor = fit_predictor(pad_texts(rows), tasks, steps=50, weight_decay=1e-4)
    assert torch.equal(predictor.predict(pad_texts(rows)), tasks)
    assert set(predictor.predict(texts(8)).tolist()) <= {int(task) for task in EDIT_TASKS}


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    assert parse_task(" Add ") is Task.ADD
    with pytest.raises(ValueError, match="known tasks: identity, add"):
        parse_task("fly")


def test_a_bundle_comes_back_and_its_digest_knows_only_tensors(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(2), "a": torch.zeros(3)}
    bundle = Bundle("base", tensors, {"x": 1}, {"y": 2})
    save_bundle(bundle, tmp_path / "w.safetensors")
    found = load_bundle(tmp_path / "w.safetensors", "base")
    assert (found.config, found.lineage) == ({"x": 1}, {"y": 2})
    assert found.digest() == Bundle("base", dict(reversed(tensors.items())), {}, {}).digest()
    assert found.digest() != Bundle("base", tensors | {"a": torch.ones(3)}, {}, {}).digest()


@pytest.mark.parametrize(("content", "message"), [(None, "no such"), (b"junk", "not a readable")])
def test_bad_weights_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_bundle(path, "base")


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    save_bundle(Bundle("base", {"a": torch.zeros(1)}, {}, {}), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="holds 'base', expected 'editor'"):
        load_bundle(tmp_path / "w.safetensors", "editor")
