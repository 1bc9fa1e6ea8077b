from kubeception.lab.kept import differing, table

LISTING = """\
REF                          TYPE                                       DIGEST   SIZE     PLATFORMS   LABELS
registry.k8s.io/pause:3.10.1 application/vnd.oci.image.manifest.v1+json sha256:a 10.5 MiB linux/amd64 io=managed
quay.io/app:1                application/vnd.oci.image.manifest.v1+json sha256:b 10.5 MiB linux/amd64 -
"""


def test_the_table_is_read() -> None:
    assert table(LISTING) == {
        "registry.k8s.io/pause:3.10.1": "sha256:a",
        "quay.io/app:1": "sha256:b",
    }


def test_only_what_changed_is_stale() -> None:
    wanted = {
        "registry.k8s.io/pause:3.10.1": "sha256:a",
        "quay.io/app:1": "sha256:c",
        "quay.io/new:1": "sha256:d",
    }
    assert differing(table(LISTING), wanted) == ["quay.io/app:1"]


def test_a_digest_that_nothing_means_any_more_is_stale() -> None:
    listed = {
        "quay.io/app:1": "sha256:c",
        "quay.io/app@sha256:b": "sha256:b",
        "a@sha256:b": "sha256:b",
    }
    wanted = {"quay.io/app:1": "sha256:c", "quay.io/gone:1": ""}
    assert differing(listed, wanted) == ["quay.io/app@sha256:b"]
    assert differing({**listed, "quay.io/app@sha256:c": "sha256:c"}, wanted) == [
        "quay.io/app@sha256:b"
    ]


def test_what_the_registry_lacks_is_left_alone() -> None:
    assert differing(table(LISTING), {"quay.io/app:1": ""}) == []
