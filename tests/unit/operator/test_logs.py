import json
import logging

from kubeception.operator.logs import Json, Text


def record(**extra: object) -> logging.LogRecord:
    found = logging.LogRecord("k", logging.INFO, "f", 1, "it is %s", ("ready",), None)
    for key, value in extra.items():
        setattr(found, key, value)
    return found


def test_a_line_bears_its_cluster_and_pass() -> None:
    line = json.loads(Json().format(record(cluster="a/b", pass_id=3, other="no")))
    assert line["message"] == "it is ready"
    assert (line["cluster"], line["pass_id"], line["level"]) == ("a/b", 3, "info")
    assert "other" not in line


def test_a_line_stays_one_line() -> None:
    assert "\n" not in Json().format(record(cluster="a\nb"))


def test_text_says_the_same() -> None:
    assert Text("%(message)s").format(record(cluster="a/b")) == "it is ready  cluster=a/b"
