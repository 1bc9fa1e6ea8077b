"""Containers of a rendered control plane as processes of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeception.plan.edit import container
from kubeception.plan.facts import Object
from kubeception.plan.secret import data_of
from tests.plans import find


@dataclass(frozen=True)
class Rendered:
    """What was rendered, and the folder that its volumes are below."""

    folder: Path
    objects: list[Object]

    def flags(self, name: str, *, without: tuple[str, ...] = ()) -> list[str]:
        """The flags of a container, less some; the paths in them are of this machine, and filled."""
        workload = self._workload(name)
        mounts = {
            mount["mountPath"]: str(self.folder / mount["name"])
            for mount in container(workload, name).get("volumeMounts", ())
        }
        for volume in workload["spec"]["template"]["spec"]["volumes"]:
            if str(self.folder / volume["name"]) in mounts.values():
                self._fill(volume, mounts)
        args = [moved(arg, mounts) for arg in container(workload, name)["args"]]
        return [arg for arg in args if arg.partition("=")[0] not in without]

    def file(self, volume: str, path: str) -> Path:
        """A file of a volume."""
        return self.folder / volume / path

    def _workload(self, name: str) -> Object:
        for obj in self.objects:
            if obj["kind"] in ("Deployment", "StatefulSet"):
                try:
                    container(obj, name)
                except KeyError:
                    continue
                return obj
        raise KeyError(name)

    def _fill(self, volume: Object, mounts: dict[str, str]) -> None:
        """As a kubelet does it: all keys of an object, or those of its items."""
        for source in volume.get("projected", {}).get("sources", [volume]):
            for kind in ("Secret", "ConfigMap"):
                if reference := source.get(f"{kind[0].lower()}{kind[1:]}"):
                    data = self._data(kind, reference.get("name") or reference["secretName"])
                    all_keys = [{"key": key, "path": key} for key in data]
                    for item in reference.get("items", all_keys):
                        if item["key"] in data:
                            self._write(volume["name"], item["path"], data[item["key"]], mounts)
        (self.folder / volume["name"]).mkdir(parents=True, exist_ok=True)

    def _data(self, kind: str, name: str) -> dict[str, bytes]:
        found = find(self.objects, kind, name)
        texts: dict[str, Any] = found["data"]
        if kind == "Secret":
            return data_of(found)
        return {key: text.encode() for key, text in texts.items()}

    def _write(self, volume: str, path: str, data: bytes, mounts: dict[str, str]) -> None:
        file = self.file(volume, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(moved(data.decode(), mounts).encode())


def moved(text: str, mounts: dict[str, str]) -> str:
    for there, here in mounts.items():
        text = text.replace(there, here)
    return text
