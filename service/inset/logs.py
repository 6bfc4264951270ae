"""How the log is written: for people as text, or for machines as one JSON object a line."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from inset.acting import acting

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_KNOWN = ("request_id", "session_id", "host_id")


def install_logs(format: LogFormat, level: LogLevel) -> None:
    """Have everything that this process logs written to stderr, uvicorn's own lines included."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"inset": {"()": JsonLines if format == "json" else TextLines}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "inset"}},
            # Others' chatter of each call, as httpx logs it, names seats' addresses and tells nothing new.
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {"inset": {"level": level.upper()}, "uvicorn": {"level": level.upper()}},
        }
    )


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, what is known of the act, and a record's own `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(),
            **_facts(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """One line for people, with a traceback below it where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        about = " ".join([f"{name}={value}" for name, value in {**_facts(record), **_about()}.items()])
        message = record.getMessage()
        if not message.isprintable():
            # Whatever a caller has put into an address: a line stays one line.
            message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
        time = _time(record).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        line = f"{time} {record.levelname.lower():7} {record.name}: {message}" + (f" [{about}]" if about else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _about() -> dict[str, str]:
    present = acting()
    return {name: value for name in _KNOWN if (value := getattr(present, name))}


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = getattr(record, "facts", {})
    return facts
