"""Laws of backbones and editors: what must hold whatever the weights are."""

from dataclasses import replace

import pytest
import torch
from einops import rearrange

from models.backbones.moviegen import MovieGenTransformer
from models.backbones.protocol import Backbone, TextToVideo, WidenedOutput
from models.conditioning import Condition
from models.editor import CopySkip, EditingConfig, EditModel
from models.precision import Precision, autocast
from models.preconditioning import precondition
from models.tasks import Task
from models.text import TextContext, TextPart, pad_texts
from tests.tiny import (
    BACKBONE,
    BACKBONES,
    CHANNELS,
    PATCH_EMBED,
    TEXT_WIDTH,
    base,
    condition,
    fresh_editor,
    latents,
    texts,
    trained_editor,
)

T = torch.tensor([0.2, 0.9])


@pytest.fixture(params=list(BACKBONES))
def name(request: pytest.FixtureRequest) -> str:
    """Every backbone: the laws are the same for all."""
    return str(request.param)


def new_parts(name: str) -> tuple[str, ...]:
    """What an editor has and its base has not, but for the task table."""
    return f"backbone.{PATCH_EMBED[name]}.source.weight", "task.to_tokens.weight", "task.to_time.weight", "skip.gates"


def gradients(editor: EditModel) -> dict[str, torch.Tensor]:
    """Of a loss that any change of the velocity changes."""
    editor.zero_grad()
    (editor(latents(), T, condition()) - latents(seed=3)).square().mean().backward()
    return {name: p.grad.clone() for name, p in editor.named_parameters() if p.grad is not None}


@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("copy_skip", [True, False])
@pytest.mark.parametrize("task", list(Task))
def test_a_freshly_widened_editor_equals_its_base_to_the_last_bit(
    name: str, task: Task, copy_skip: bool, precision: Precision
) -> None:
    network, told, x = base(name), condition(task=task), latents()
    with autocast("cpu", precision):
        before = network(x, T, told.text, told.offsets)
        editor = EditModel(network, EditingConfig(task_width=8, copy_skip=copy_skip)).eval()
        assert before.abs().max() > 0
        for source in (told.source, 100 * told.source, torch.zeros_like(told.source)):
            assert torch.equal(editor(x, T, replace(told, source=source)), before)


def test_every_new_part_of_a_fresh_editor_receives_gradient(name: str) -> None:
    found = gradients(fresh_editor(name=name))
    assert all(found[part].abs().sum() > 0 for part in new_parts(name))


def test_after_one_step_the_task_table_learns_too_and_every_part_has_moved(name: str) -> None:
    editor, parts = fresh_editor(name=name), new_parts(name)
    optimizer = torch.optim.AdamW(editor.parameters(), lr=1e-2)
    assert gradients(editor)["task.table.weight"].abs().sum() == 0
    optimizer.step()
    assert all(editor.get_parameter(part).any() for part in parts)
    assert all(parameter.isfinite().all() for parameter in editor.parameters())
    found = gradients(editor)
    assert all(found[part].abs().sum() > 0 for part in (*parts, "task.table.weight"))
    rows = found["task.table.weight"].abs().sum(dim=1)
    assert rows.nonzero().flatten().tolist() == [Task.ADD]


@torch.no_grad()
def test_what_is_kept_of_the_source_is_laid_out_as_the_velocity(name: str) -> None:
    network, told = base(name), condition()
    network.widen(keep=True)
    (output,) = (part for part in network.modules() if isinstance(part, WidenedOutput))
    output.keep.load_state_dict(output.velocity.state_dict())
    both = output(torch.randn(2, 3, output.velocity.in_features))
    p, order = network.config.patch, "(p q c)" if output.channels_last else "(c p q)"
    velocity, keep = rearrange(both, f"b n {order} -> b n c p q", p=p, q=p).chunk(2, dim=2)
    assert torch.equal(velocity, keep)
    found = network(torch.cat([latents(), told.source], dim=1), T, told.text, told.offsets)
    assert found.shape[1] == 2 * CHANNELS


@torch.no_grad()
def test_the_copy_skip_keeps_as_much_of_the_source_as_it_is_told() -> None:
    skip, x, source = CopySkip(CHANNELS), latents(), latents(seed=7)
    skip.gates.copy_(torch.linspace(-1, 1, skip.gates.numel()).view_as(skip.gates))
    nothing, all_of_it, twice = (skip(x, source, torch.full_like(x, keep), T) for keep in (-1.0, 0.0, 1.0))
    assert torch.equal(nothing, skip(x, torch.zeros_like(x), torch.zeros_like(x), T))
    assert torch.allclose(all_of_it - nothing, (twice - nothing) / 2, atol=1e-6)


def test_what_is_kept_learns_once_the_skip_is_open(name: str) -> None:
    found = gradients(trained_editor(name))
    (keep,) = (part for part in found if part.endswith("keep.weight"))
    assert found[keep].abs().sum() > 0


@torch.no_grad()
@pytest.mark.parametrize("changed", ["source", "task", "text"])
def test_every_part_of_the_condition_has_a_say_in_a_trained_editor(name: str, changed: str) -> None:
    editor, told, x = trained_editor(name), condition(), latents()
    other = {
        "source": told.source + 1,
        "task": torch.full_like(told.task, int(Task.REMOVE)),
        "text": texts(4, 6),
    }
    assert not torch.allclose(editor(x, T, told), editor(x, T, replace(told, **{changed: other[changed]})), atol=1e-4)


@torch.no_grad()
def test_the_source_reaches_the_patch_embedding_unchanged_at_every_time(name: str) -> None:
    editor, told, seen = trained_editor(name), condition(), []
    embed = editor.get_submodule(f"backbone.{PATCH_EMBED[name]}")
    embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = latents()
    for t in (0.0, 0.5, 1.0):
        editor(x, torch.full((2,), t), told)
    assert len(seen) == 3
    assert all(torch.equal(both.chunk(2, dim=1)[1], told.source) for both in seen)


@torch.no_grad()
def test_a_base_called_like_an_editor_looks_at_text_alone(name: str) -> None:
    network, told, x = base(name), condition(), latents()
    other = replace(told, source=told.source + 1, task=told.task + 1)
    assert torch.equal(TextToVideo(network)(x, T, told), TextToVideo(network)(x, T, other))
    assert isinstance(network, Backbone)


@torch.no_grad()
def test_fresh_output_layers_leave_the_linear_guess() -> None:
    network = MovieGenTransformer(BACKBONE, CHANNELS, (TEXT_WIDTH,)).eval()
    told = condition()
    guess = precondition(torch.ones(CHANNELS), T).skip * latents()
    assert torch.equal(network(latents(), T, told.text, told.offsets), guess)


def test_a_backbone_is_widened_only_once(name: str) -> None:
    network = base(name)
    network.widen()
    with pytest.raises(ValueError, match="already widened"):
        network.widen()


@torch.no_grad()
@pytest.mark.parametrize("value", [0.0, 1e3])
def test_padding_of_text_changes_nothing_whatever_it_holds(name: str, value: float) -> None:
    editor, told, x = trained_editor(name), condition(), latents()
    part = told.text.parts[0]
    states = torch.nn.functional.pad(part.states, (0, 0, 0, 3), value=value)
    padded = TextContext((TextPart(states, torch.nn.functional.pad(part.mask, (0, 3))),))
    assert torch.allclose(editor(x, T, told), editor(x, T, replace(told, text=padded)), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("row", [0, 1])
def test_a_sample_does_not_depend_on_its_batch(name: str, row: int) -> None:
    editor, x, told, one = trained_editor(name), latents(), condition((2, 6)), slice(row, row + 1)
    alone = Condition(told.source[one], pad_texts([told.text.trimmed(row)]), told.task[one], told.offsets[one])
    assert torch.allclose(editor(x, T, told)[one], editor(x[one], T[one], alone), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 5])
def test_a_velocity_has_the_shape_of_the_latents_from_one_frame_on(name: str, frames: int) -> None:
    x = latents(2, CHANNELS, frames, 8, 6)
    told = replace(condition(), source=latents(2, CHANNELS, frames, 8, 6, seed=7))
    velocity = trained_editor(name)(x, T, told)
    assert velocity.shape == x.shape
    assert velocity.isfinite().all()


@torch.no_grad()
def test_an_offset_moves_the_row_of_the_time_table_and_nothing_else() -> None:
    positions = base().positions
    found = positions.time_rows(3, torch.tensor([0, 2]))
    assert torch.equal(found[0], positions.frames[:3])
    assert torch.equal(found[1], positions.frames[2:5])
    grid = positions(found, 2, 3).unflatten(1, (3, 2, 3))
    assert torch.allclose(grid[1, 2, 1, 0], positions.frames[4] + positions.rows[1] + positions.columns[0])


@torch.no_grad()
def test_the_temporal_position_of_a_single_frame_matters() -> None:
    network, told = base(), condition(frames=1)
    x = latents(2, CHANNELS, 1, 8, 8)
    assert not torch.allclose(network(x, T, told.text, told.offsets), network(x, T, told.text, told.offsets + 3))


@pytest.mark.parametrize("grid", [(9, 8, 8), (1, 10, 8), (1, 8, 10)])
def test_a_grid_beyond_the_position_tables_is_refused(grid: tuple[int, int, int]) -> None:
    x = latents(1, CHANNELS, *grid)
    with pytest.raises(ValueError, match=r"exceeds the position tables \(8, 4, 4\)"):
        base()(x, torch.zeros(1), texts(3), torch.zeros(1, dtype=torch.long))


def test_heads_must_divide_the_width() -> None:
    values = BACKBONE.model_dump() | {"heads": 3}
    with pytest.raises(ValueError, match="not a multiple of heads"):
        type(BACKBONE).model_validate(values)


def test_gradient_checkpointing_changes_neither_loss_nor_gradient(name: str) -> None:
    results = []
    for checkpointing in (False, True):
        editor = trained_editor(name).train()
        editor.backbone.gradient_checkpointing = checkpointing
        loss = editor(latents(), T, condition()).square().sum()
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in editor.parameters())])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*results, strict=True))
