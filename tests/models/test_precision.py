"""bf16 is asked for once, and computed in where the machine has it."""

import pytest
import torch

from models import precision
from models.precision import arithmetic, autocast
from training.trainer import trainer_precision


@pytest.fixture(params=[True, False], ids=["bf16", "no-bf16"])
def has(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A CPU that multiplies in bf16, and one that does not."""
    monkeypatch.setattr(precision, "has_bf16", lambda kind: kind != "cpu" or request.param)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    return bool(request.param)


def test_products_are_exact_where_there_is_no_bf16(has: bool) -> None:
    a, b = torch.randn(8, 16), torch.randn(16, 8)
    with autocast("cpu", "bf16"):
        found = a @ b
    assert found.dtype == (torch.bfloat16 if has else torch.float32)
    assert torch.equal(found, a @ b) is not has


def test_fp32_is_fp32_everywhere_and_a_gpu_is_taken_at_its_word(has: bool) -> None:
    assert arithmetic("cpu", "fp32") == arithmetic("cuda", "fp32") == "fp32"
    assert arithmetic("cuda:0", "bf16") == "bf16"
    with autocast("cpu", "fp32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_trainings_follow_and_say_so(has: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert trainer_precision("32-true") == "32-true" and not capsys.readouterr().out
    assert trainer_precision("bf16-mixed") == ("bf16-mixed" if has else "32-true")
    assert ("fp32" in capsys.readouterr().out) is not has


def test_a_gpu_trains_in_bf16_whatever_the_cpu_has(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert trainer_precision("bf16-mixed") == "bf16-mixed"


def test_this_cpu_says_what_it_has() -> None:
    assert precision.has_bf16("cpu") in (True, False) and precision.has_bf16("cuda")
