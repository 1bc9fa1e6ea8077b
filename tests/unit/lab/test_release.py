import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab.release import published_digest

DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "text",
    [
        DIGEST,
        f"{DIGEST}\n",
        f"{DIGEST}  tool.tar.gz\n",
        f"{DIGEST} *tool.tar.gz\n",
        f"{DIGEST.upper()}  tool.tar.gz\n",
        f"{DIGEST}  ./dist/tool.tar.gz\n",
        f"{OTHER}  other.tar.gz\n{DIGEST}  tool.tar.gz\n",
    ],
)
def test_the_forms_projects_publish_checksums_in(text: str) -> None:
    assert published_digest(text, "tool.tar.gz", "SHA256SUMS") == DIGEST


@pytest.mark.parametrize(
    "text",
    ["", f"{OTHER}  other.tar.gz\n", "<html>not found</html>", "abc", f"{'a' * 40}  tool.tar.gz"],
)
def test_no_checksum_is_an_error(text: str) -> None:
    with pytest.raises(
        KubeceptionError, match=r"SHA256SUMS publishes no SHA-256 for tool\.tar\.gz"
    ):
        published_digest(text, "tool.tar.gz", "SHA256SUMS")
