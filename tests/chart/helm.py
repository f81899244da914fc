"""Helm as the tests use it: values in, objects or a refusal out. The chart's paths, once."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Values: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "connector"
TEMPLATES = sorted(path for path in (CHART / "templates").iterdir() if path.suffix == ".yaml")
CI_VALUES = sorted((CHART / "ci").glob("*.yaml"))
SMALLEST: Values = yaml.safe_load((CHART / "ci" / "inline-values.yaml").read_text())
KUBERNETES = "1.36.3"


class RefusedError(Exception):
    """Helm would not render; the text says why."""


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that occurs twice, as the API server does in a strict decoding."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002 - PyYAML's
        """See `yaml.SafeLoader`."""
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys occur twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def tool(name: str) -> str:
    """The path of one of the tools that `make chart` brings."""
    folder = os.environ.get("CHART_TOOLS")
    assert folder, "CHART_TOOLS is not set: these tests are run by `make chart`"
    return str(Path(folder) / name)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program and give its standard output.

    Raises:
        RefusedError: It failed; the text is what it wrote to both.
    """
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise RefusedError(done.stdout + done.stderr)
    return done.stdout


def render_text(
    values: Values | Path, *, release: str = "rc", namespace: str = "voice", extra: tuple[str, ...] = ()
) -> str:
    """What `helm template` makes of the values.

    Raises:
        RefusedError: Nothing; the text says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = values if isinstance(values, Path) else Path(folder) / "values.json"
        if not isinstance(values, Path):
            file.write_text(json.dumps(values))
        return run(
            tool("helm"), "template", release, CHART, "-n", namespace, "-f", file, "--kube-version", KUBERNETES, *extra
        )


def render(values: Values | Path, **options: Any) -> Objects:
    """The objects that the chart makes of the values; no key occurs twice in any of them."""
    return [found for found in yaml.load_all(render_text(values, **options), Loader=StrictLoader) if found]


def one(objects: Objects, kind: str, name: str | None = None) -> dict[str, Any]:
    """The only object of a kind."""
    found = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def merged(base: Values, more: Values) -> Values:
    """Values on top of values, as Helm merges them."""
    out = dict(base)
    for key, value in more.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def smallest_with(more: Values) -> Values:
    """The smallest good values, with more."""
    return merged(SMALLEST, more)
