"""A manifest of somebody else's: YAML documents that are to be objects, read as kubectl reads them, and bounded."""

import json
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import yaml

from kubeception.plan.facts import Object, key_of

OBJECTS_LIMIT: Final = 256
DEPTH_LIMIT: Final = 64
KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
API_VERSION: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?v[a-z0-9]{1,30}")
HOME: Final = "default"
"""Namespace of an object that names none, as it is for kubectl."""
NAME: Final = re.compile(r"[^/%\s]{1,253}")
META: Final = ("name", "namespace", "labels", "annotations")
"""What is taken of an object's metadata; the rest is its API server's."""


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, and all that is wrong with it."""

    objects: tuple[Object, ...] = ()
    """Not to be changed: they are given out again."""
    problems: tuple[str, ...] = ()

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """What its objects are, apiVersion and kind, each once."""
        return list(dict.fromkeys((o["apiVersion"], o["kind"]) for o in self.objects))


def parse(config_map: Object) -> Manifest:
    """The objects of all keys of a ConfigMap, in the order of the keys."""
    return _parse(tuple(sorted((config_map.get("data") or {}).items())))


@lru_cache(maxsize=32)
def _parse(texts: tuple[tuple[str, str], ...]) -> Manifest:
    objects: list[Object] = []
    problems: list[str] = []
    for file, text in texts:
        try:
            documents = list(_documents(text))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            problems.append(f"{file}: {_said(error)}")
            continue
        for number, document in documents:
            found = _problems(document)
            problems += [f"{file}, document {number}: {problem}" for problem in found]
            if not found:
                objects.append(_object(document))
    keys = [(kind, namespace or HOME, name) for kind, namespace, name in map(key_of, objects)]
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        problems.append(f"{said(key)}: is there twice")
    if len(objects) > OBJECTS_LIMIT:
        problems.append(f"{len(objects)} objects: at most {OBJECTS_LIMIT} are taken")
    if not objects and not problems:
        problems.append("it holds no object")
    return Manifest(tuple(objects), tuple(problems))


def said(key: tuple[str, str, str]) -> str:
    """An object as a person names it: `DaemonSet kube-system/cilium`."""
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    """Each document with its number, the items of a List one by one; empty ones are none.

    Raises yaml.YAMLError and ValueError.
    """
    _check_shape(text)
    for number, document in enumerate(yaml.load_all(text, Loader=_Loader), 1):
        if document is None:
            continue
        # As JSON, which is what an API server gets: keys are texts, and there is nothing but plain values.
        try:
            plain = _without_null(json.loads(json.dumps(document, allow_nan=False)))
        except TypeError as error:
            raise ValueError(f"document {number}: {error}") from None
        if isinstance(plain, dict) and plain.get("kind") == "List":
            items = plain.get("items", [])
            yield from ((number, item) for item in (items if isinstance(items, list) else [items]))
        else:
            yield number, plain


def _check_shape(text: str) -> None:
    """Raise ValueError for what grows when it is read, or is nested deeper than any object."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(  # noqa: TRY004 - it is what the text says
                f"line {line}: aliases (*) are not taken: write out what is meant"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise ValueError(f"line {line}: is nested more than {DEPTH_LIMIT} deep")


def _problems(document: Any) -> list[str]:
    """What keeps a document from being an object."""
    if not isinstance(document, Mapping):
        return ["is not an object"]
    meta = document.get("metadata", {})
    if not isinstance(meta, Mapping):
        return ["metadata: is not a mapping"]
    found = []
    for path, value, pattern in (
        ("apiVersion", document.get("apiVersion"), API_VERSION),
        ("kind", document.get("kind"), KIND),
        ("metadata.name", meta.get("name"), NAME),
        ("metadata.namespace", meta.get("namespace", HOME), NAME),
    ):
        if value is None:
            found.append(f"{path}: is missing")
        elif not isinstance(value, str) or not pattern.fullmatch(value):
            found.append(f"{path}: {str(value)[:80]!r} can't be one")
    for key in ("labels", "annotations"):
        values = meta.get(key, {})
        if not isinstance(values, Mapping):
            found.append(f"metadata.{key}: is not a mapping")
        else:
            found += [
                f"metadata.{key}.{name}: is not a text"
                for name, value in values.items()
                if not isinstance(value, str)
            ]
    return found


def _object(document: Mapping[str, Any]) -> Object:
    """An object as it may be applied again and again: without what is its API server's to say."""
    meta = document["metadata"]
    return {
        **{key: value for key, value in document.items() if key != "status"},
        "metadata": {key: meta[key] for key in META if key in meta},
    }


def _without_null(value: Any) -> Any:
    """A value without the keys that have none: for an API server that is the same."""
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return value


def _said(error: Exception) -> str:
    """What is wrong with a text, and where, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())[:300] or type(error).__name__


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """What kubectl takes for a number, a truth or nothing; all else is text: dates, times of day, `1:30`."""

    yaml_implicit_resolvers: dict[Hashable, Any] = {}  # noqa: RUF012 - as the library has it


for _tag, _pattern, _first in (
    (
        "bool",
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    ("int", r"[-+]?(0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first)
    )
