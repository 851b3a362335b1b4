"""Prometheus' Alertmanager, Debian's own build, in a process of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from support import processes
from support.raw import ask
from support.waiting import wait_until

# Groups of its own, told at once, to one webhook.
CONFIGURATION = """
route:
  receiver: test
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: test
    webhook_configs:
      - url: {url}
        send_resolved: true
"""


class Alertmanager:
    """Running until the `with` block ends; whatever it is told it tells to the application at `url`."""

    def __init__(self, folder: Path, url: str):
        self.program = shutil.which("prometheus-alertmanager")
        if self.program is None:
            raise FileNotFoundError("install prometheus-alertmanager, or run scripts/test")
        self.folder, self.url, self.port = folder, url, processes.free_port()

    def __enter__(self) -> Alertmanager:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "alertmanager.yml"
        file.write_text(CONFIGURATION.format(url=self.url))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={file}",
                    f"--storage.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until("Alertmanager listens", lambda: processes.listening(self.port))
        return self

    def __exit__(self, *_exception) -> None:
        self.process.terminate()
        self.process.wait(10)

    def alerts(self) -> list[dict]:
        """What fires, as it sees it."""
        response = ask(self.port, "GET", "/api/v2/alerts")
        assert response.status == 200, response.body
        return json.loads(response.body)
