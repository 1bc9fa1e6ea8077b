"""Templates of the package data: they substitute values only, and no value can break out of its place.

In a manifest every `{{ value }}` is a whole scalar, and arrives as what it is: a text, a mapping, a list. A
template renders to YAML with a mark at each such place; that is parsed once, and filled as often as it is wanted.
"""

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml
from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    Template,
    TemplateNotFound,
    Undefined,
    pass_context,
)
from jinja2.runtime import Context

from kubeception import names
from kubeception.plan.facts import Object

_MARKS: Final = range(0xE000, 0xF900)
"""Characters for private use: the n-th value of a template is marked with the n-th of them."""
_VALUES: Final = "values of this rendering"
"""No name that a template can say."""


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


@pass_context
def _mark(context: Context, value: Any) -> str:
    """Keep a value; the mark of its place."""
    if isinstance(value, Undefined):
        return str(value)  # which raises
    values: list[Any] = context[_VALUES]
    values.append(value)
    return chr(_MARKS[len(values) - 1])


@cache
def _manifests() -> Environment:
    environment = Environment(  # noqa: S701 - YAML, not HTML; no value is part of the text
        loader=_PackageData("manifests"), undefined=StrictUndefined, finalize=_mark
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
    found: list[Any] = []
    parsed = _parsed(template.render({**values, _VALUES: found}))
    rendered: Object = _filled(parsed, json.loads(json.dumps(found)))
    return rendered


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """Not to be changed: it is filled again, for others."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader


def _filled(part: Any, values: list[Any]) -> Any:
    """A copy, with the value at each mark."""
    if isinstance(part, dict):
        return {_filled(key, values): _filled(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(item, values) for item in part]
    if isinstance(part, str) and part and ord(part[-1]) in _MARKS:
        return values[ord(part) - _MARKS.start]
    return part


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
