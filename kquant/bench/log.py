"""The record of a bench: its rows as CSV and JSON, with date and machine."""

import csv
import datetime
import json
import os
import platform
import sys
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from .._kernel import level
from ..files.disk import check_target, write_file


class Log:
    """Where a run is recorded, as CSV and JSON, with date and machine.

    Parameters
    ----------
    folder : str
        The directory for the files; their names hold date and time.

    Attributes
    ----------
    began : datetime.datetime
    machine : dict of str
        What the times depend on.
    """

    def __init__(self, folder: str) -> None:
        self.began = datetime.datetime.now().astimezone()
        self.machine = describe_machine()
        self._base = Path(folder, f"kquant-bench-{self.began:%Y%m%d-%H%M%S}")
        for suffix in (".csv", ".json", ".png"):  # rather now than after minutes
            check_target(self.path(suffix), force=False)

    def path(self, suffix: str) -> Path:
        """Name a file of this run."""
        return self._base.with_name(self._base.name + suffix)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write both files."""
        date = self.began.isoformat(timespec="seconds")
        log = {"date": date, "machine": self.machine, "runs": rows}
        content = json.dumps(log, indent=1) + "\n"
        write_file(self.path(".json"), content.encode(), force=False)
        # Each line of the CSV has date and machine, so that logs can be joined.
        text = StringIO()
        common = {"date": date, **self.machine}
        writer = csv.DictWriter(text, [*common, *rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**common, **row} for row in rows)
        write_file(self.path(".csv"), text.getvalue().encode(), force=False)

    def write_picture(self, content: bytes) -> Path:
        """Write the picture, a PNG; return its name."""
        write_file(self.path(".png"), content, force=False)
        return self.path(".png")


def describe_machine() -> dict[str, str]:
    """Name what the times depend on."""
    return {
        "kquant": version("kquant"),
        "level": level(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
