"""May an editor become champion? Asked of its evaluation, answered with reasons."""

from dataclasses import dataclass

from training.params import GateParams


@dataclass(frozen=True)
class GateFigures:
    """What the gate looks at, on held-out cases; None where the evaluation could not measure it."""

    success: float | None
    wrong_instruction_success: float | None
    keep_psnr: float | None
    ceiling_keep_psnr: float | None
    colour_drift: float | None


@dataclass(frozen=True)
class GateDecision:
    """Accepted, or every reason why not."""

    accepted: bool
    reasons: tuple[str, ...]


def decide(figures: GateFigures, gate: GateParams) -> GateDecision:
    """Hold the figures against the thresholds. A figure that is missing is a reason to refuse."""
    gap = None
    if figures.keep_psnr is not None and figures.ceiling_keep_psnr is not None:
        gap = figures.ceiling_keep_psnr - figures.keep_psnr
    checks = [
        _at_least("success", figures.success, gate.min_success),
        _at_most(
            "success with wrong instruction", figures.wrong_instruction_success, gate.max_wrong_instruction_success
        ),
        _at_most("keep_psnr below the ceiling (dB)", gap, gate.max_keep_gap_db),
        _at_most("colour drift (1/255)", figures.colour_drift, gate.max_colour_drift),
    ]
    reasons = tuple(reason for reason in checks if reason)
    return GateDecision(not reasons, reasons)


def _at_least(name: str, value: float | None, limit: float) -> str | None:
    if value is None:
        return f"{name} was not measured"
    return None if value >= limit else f"{name} is {value:.3f}, must be at least {limit}"


def _at_most(name: str, value: float | None, limit: float) -> str | None:
    if value is None:
        return f"{name} was not measured"
    return None if value <= limit else f"{name} is {value:.3f}, must be at most {limit}"
