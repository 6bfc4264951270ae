"""Who runs which tests, where there are several workers (`-n`)."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_WHOLE_FOLDERS = {"browsers", "docker", "docs", "e2e", "edge", "security"}
"""Each of these starts a whole deployment once; the others start their parts by the file."""

_WAITING = ("tests/client/", "tests/contract/", "tests/service/", "tests/singleuser/test_activity.py")
"""What mostly waits: for a timer, a database, a server. While two workers ran these, half the processors were idle."""


class ByParts(LoadScopeScheduling):
    """Has one worker run what shares expensive parts, in its order.

    Of three workers the third runs what mostly waits, beside two that compute, and helps those when it is done.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return str(file.parent if file.parent.name in _WHOLE_FOLDERS else file)

    def _assign_work_unit(self, node: WorkerController) -> None:
        waits = int(node.gateway.id.removeprefix("gw")) % 3 == 2
        its_own = (scope for scope in self.workqueue if scope.startswith(_WAITING) == waits)
        self.workqueue.move_to_end(next(its_own, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)
