"""A fake Inset for a host application's own tests: service and frame, in memory. Needs the extra `testkit`.

    with fake_inset() as fake:
        inset = Inset(**fake.access)

`docs/testing.md` says the rest.
"""

from inset_client.testkit.fake import FakeInset
from inset_client.testkit.problems import FakeProblem
from inset_client.testkit.running import RunningFake, fake_inset
from inset_client.testkit.webhooks import FakeDelivery, FakeWebhook

__all__ = ["FakeDelivery", "FakeInset", "FakeProblem", "FakeWebhook", "RunningFake", "fake_inset"]
