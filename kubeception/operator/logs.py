"""Log lines: JSON for machines, text for people; each of a pass bears its tenant cluster and the pass's id."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

FIELDS: Final = ("cluster", "pass_id", "trouble", "seconds", "writes", "retry_in")
"""What a line may bear beside its message, given as `extra`."""


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: getattr(record, key) for key in FIELDS if hasattr(record, key)}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class Text(logging.Formatter):
    """A line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        known = [f"{key}={getattr(record, key)}" for key in FIELDS if hasattr(record, key)]
        return f"{said}  {' '.join(known)}".rstrip()


def set_up(form: str, level: str) -> None:
    """Send everything to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Json() if form == "json" else Text("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
