"""What `refresh --print-schedule` prints: a crontab line, or a systemd service and its timer."""

import shlex
import sys
from pathlib import Path

from ..core.lake import Lake
from ..core.study import Resources

_SYSTEMD = """\
# ~/.config/systemd/user/memtriggers-refresh.service
[Unit]
Description=Refresh the memtriggers lake {lake}

[Service]
Type=oneshot
ExecStart={command}

# ~/.config/systemd/user/memtriggers-refresh.timer
[Unit]
Description=Refresh the memtriggers lake {lake} every night

[Timer]
OnCalendar=*-*-* 03:17:00
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now memtriggers-refresh.timer
"""


def schedule(kind: str, study_file: Path, lake: Lake, resources: Resources) -> str:
    """The text that makes cron or systemd (`kind`) refresh this lake at 3:17 every night."""
    command = refresh_command(study_file, lake, resources)
    return crontab_line(command) if kind == "cron" else systemd_units(command, lake)


def refresh_command(study_file: Path, lake: Lake, resources: Resources) -> list[str]:
    """The command line of a refresh, the same in any folder and with any PATH."""
    given = {
        "--device": None if resources.device == "auto" else resources.device,
        "--workers": resources.workers,
        "--scheduler": resources.scheduler,
    }
    return [
        *(sys.executable, "-m", "memtriggers", "refresh"),
        *("--study", str(study_file.absolute()), "--lake", str(lake.root.absolute())),
        *(str(part) for option, value in given.items() if value for part in (option, value)),
    ]


def crontab_line(command: list[str]) -> str:
    """One line of a crontab, where a bare % would end the command."""
    return f"17 3 * * * {shlex.join(command)}".replace("%", r"\%") + "\n"


def systemd_units(command: list[str], lake: Lake) -> str:
    """The text of a service and of its timer, one after the other, each under its file's name."""
    name = str(lake.root.absolute()).replace("%", "%%")
    return _SYSTEMD.format(lake=name, command=" ".join(map(_systemd_quoted, command)))


def _systemd_quoted(text: str) -> str:
    for special, escaped in (("\\", r"\\"), ('"', r"\""), ("%", "%%"), ("$", "$$")):
        text = text.replace(special, escaped)
    return f'"{text}"'
