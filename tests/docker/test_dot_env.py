"""What stands in `.env` is what the parts are told."""

import pytest

from tests.docker.deployment import METRICS_TOKEN, Deployment

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

SCRAPE = """
import sys, urllib.request as r
headers = {"Authorization": "Bearer " + sys.stdin.read()}
print(r.urlopen(r.Request("http://127.0.0.1:8091/metrics", headers=headers), timeout=60).read().decode())
"""


def test_prometheus_is_answered_once_a_token_is_set_there(running: Deployment) -> None:
    assert "inset_build_info" in running.inside("service", "python", "-c", SCRAPE, stdin=METRICS_TOKEN)

    shown = "{{range .Config.Env}}{{println .}}{{end}}"
    assert METRICS_TOKEN not in running.docker("inspect", "--format", shown, running.container("service"))
