"""Templates of the package data: they substitute values only, and no value can break out of its place.

In a manifest every `{{ value }}` becomes JSON, which is YAML: a text arrives quoted, a mapping or a list whole.
"""

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    Template,
    TemplateNotFound,
    Undefined,
)

from kubeception import names
from kubeception.plan.facts import Object

_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")


class _PackageData(BaseLoader):
    """Files below `kubeception/_data/<folder>`."""

    def __init__(self, folder: str) -> None:
        self.root = files("kubeception") / "_data" / folder

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        path = self.root.joinpath(*template.split("/"))
        try:
            return path.read_text(encoding="utf-8"), str(path), None
        except OSError as error:
            raise TemplateNotFound(template) from error


def _json(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)  # which raises
    # JSON writes what is beyond U+FFFF as two escapes, which YAML reads as two characters.
    return _NOT_PLAIN.sub(
        lambda found: f"\\U{ord(found[0]):08x}", json.dumps(value, ensure_ascii=False)
    )


@cache
def _manifests() -> Environment:
    environment = Environment(  # noqa: S701 - YAML, not HTML; every value is dumped as JSON
        loader=_PackageData("manifests"), undefined=StrictUndefined, finalize=_json
    )
    environment.globals["names"] = names
    return environment


@cache
def _texts() -> Environment:
    return Environment(  # noqa: S701 - configuration files, not HTML
        loader=_PackageData("cloud-init"), undefined=StrictUndefined, keep_trailing_newline=True
    )


def manifest(template: str, values: Mapping[str, Any]) -> Object:
    """The object that `manifests/<template>` renders with these values.

    Raises jinja2.UndefinedError when the template names a value that isn't there.
    """
    return _load(_manifests().get_template(template), values)


def text(template: str, values: Mapping[str, Any]) -> str:
    """The text that `cloud-init/<template>` renders; its values are put in as they are."""
    return _texts().get_template(template).render(values)


def document(obj: Object) -> str:
    """An object as the YAML text a ConfigMap or Secret carries."""
    said: str = yaml.dump(obj, Dumper=_Dumper, sort_keys=False)
    return said


def _load(template: Template, values: Mapping[str, Any]) -> Object:
    rendered: Object = json.loads(_parsed(template.render(values)))
    return rendered


@lru_cache(maxsize=512)
def _parsed(text: str) -> str:
    """YAML as JSON: each pass renders what the one before did, and JSON is read in a tenth of the time."""
    return json.dumps(yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
