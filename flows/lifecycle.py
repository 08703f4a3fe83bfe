"""The whole chain from raw files to a judged editor, in a screen: `python -m flows.lifecycle [STAGE ...]`.

Read `flows/stages.py` next: it names every stage and the function behind it. A DVC stage calls this file with its own
name; it then runs as a Prefect flow if a server answers at PREFECT_API_URL, else as plain functions: equal receipts.
"""

import argparse
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from flows.settings import ROOT, apply_environment

apply_environment()

from features.checks import ChecksFailedError  # noqa: E402 (after the environment is set)
from flows.job import Job  # noqa: E402
from flows.params import ParamsError  # noqa: E402
from flows.stages import CHAIN, run_stages  # noqa: E402
from flows.steps import PlainSteps  # noqa: E402
from stores.receipts import ReceiptError  # noqa: E402
from stores.state import StateBusyError  # noqa: E402


def prefect_answers() -> bool:
    """Whether a Prefect server is there to record the run."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return False
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=3) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run(names: tuple[str, ...], params: Path, state: Path, overrides: tuple[str, ...], prefect: bool) -> None:
    """Run stages of the chain, all of them if none is named, as a Prefect flow or plainly."""
    wanted = names or tuple(stage.name for stage in CHAIN)
    if not prefect:
        run_stages(wanted, Job.open(params, state, overrides), PlainSteps())
        return
    from flows.deployments import FLOWS, relative_to_root

    of = {stage.name: stage.flow for stage in CHAIN}
    flow = FLOWS[of[wanted[0]]] if len(wanted) == 1 and wanted[0] in of else FLOWS["lifecycle"]
    title = wanted[0] if len(wanted) == 1 else "lifecycle"
    told = {"params": relative_to_root(params), "state": relative_to_root(state), "overrides": list(overrides)}
    flow.with_options(flow_run_name=title)(stages=list(wanted), **told)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Run the chain, or some stages of it, without DVC.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(stage.name for stage in CHAIN))
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT, help="where everything is written (default: the checkout)")
    parser.add_argument("--prefect", action="store_true", help="as a Prefect flow even if no server is running")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="overrides")
    told = parser.parse_args()
    prefect = told.prefect or prefect_answers()
    try:
        run(tuple(told.stages), told.params, told.state, tuple(told.overrides), prefect)
    except (ChecksFailedError, ParamsError, ReceiptError, StateBusyError, ValueError) as error:
        sys.exit(f"moviegen-edit: {error}")


if __name__ == "__main__":
    main()
