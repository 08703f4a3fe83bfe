"""After a demo: what came out, and where to look. `python -m flows.summary`."""

import json
import os
from pathlib import Path

from flows.settings import ROOT


def main(root: Path = ROOT) -> None:
    """Print the main figures and the places."""
    evaluation = json.loads((root / "metrics" / "evaluation.json").read_text())
    print("\nHeld-out evaluation (metrics/evaluation.json):")
    print(f"  {'system':22} {'cases':>5} {'success':>8} {'edit PSNR':>10} {'keep PSNR':>10}")
    for name, system in evaluation["systems"].items():
        shown = system["overall"]
        numbers = [
            _number(shown.get(key), width) for key, width in (("success", 8), ("edit_psnr", 10), ("keep_psnr", 10))
        ]
        print(f"  {name:22} {shown['cases']:>5} {' '.join(numbers)}")
    url = os.environ.get("PREFECT_API_URL", "").removesuffix("/api")
    places = {
        "sheet": root / "outputs" / "evaluation" / "sheet.png",
        "edited clips": root / "outputs" / "samples" / "report.html",
        "flow runs": f"{url}/runs" if url else "start a server: make up",
        "MLflow": "make up, then the address it prints",
        "edit your own": 'moviegen-edit edit CLIP "add a small red apple on the left"',
    }
    print("\nWhere to look:")
    for name, place in places.items():
        print(f"  {name:14} {place}")


def _number(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.2f}':>{width}}"


if __name__ == "__main__":
    main()
