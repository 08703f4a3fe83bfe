"""Resolve an overlay of presets/ into params.yaml: `python -m flows.presets NAME`; `default` is the committed file."""

import io
import subprocess
import sys
from typing import Any

from ruamel.yaml import YAML

from flows.params import Params, ParamsError
from flows.settings import ROOT

PRESETS = ROOT / "presets"


def names() -> list[str]:
    """Overlays that there are, and `default`."""
    return ["default", *sorted(path.stem for path in PRESETS.glob("*.yaml"))]


def resolve(base: str, overlay: str) -> str:
    """The base's text with the overlay's keys changed; comments and order of the base stay.

    A block that gets another `name` is another thing: it takes the overlay's keys and loses its own.

    Raises:
        ParamsError: the overlay names an unknown key, or the result is not valid.
    """
    yaml = YAML()
    yaml.width = 120
    values, changes = yaml.load(base), yaml.load(overlay) or {}
    _put(values, changes)
    Params.checked(_plain(values), "the resolved preset")
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()


def committed_params() -> str:
    """params.yaml as the last commit has it: overlays go on top of that, never on top of one another.

    Raises:
        ParamsError: git does not know the file.
    """
    shown = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise ParamsError(f"git cannot show params.yaml: {shown.stderr.strip()}")
    return shown.stdout


def main(name: str) -> None:
    """Write params.yaml."""
    if name not in names():
        sys.exit(f"moviegen-edit: no preset {name!r}; there are: {', '.join(names())}")
    try:
        base = committed_params()
        text = base if name == "default" else resolve(base, (PRESETS / f"{name}.yaml").read_text())
    except ParamsError as error:
        sys.exit(f"moviegen-edit: {error}")
    path = ROOT / "params.yaml"
    if path.read_text() != text:
        path.write_text(text)
    print(f"params.yaml is now the preset {name!r}")


def _put(values: Any, changes: Any) -> None:
    for key, value in changes.items():
        # A key that is not there: another task, another group of rows, or an error that the check of the result tells.
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            if "name" in value and value["name"] != values[key].get("name"):
                for gone in list(values[key]):
                    del values[key][gone]
                values[key].update(value)
                continue
            _put(values[key], value)
        else:
            values[key] = value


def _plain(values: Any) -> Any:
    """Without ruamel's own types."""
    if isinstance(values, dict):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_plain(value) for value in values]
    return values


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "default")
