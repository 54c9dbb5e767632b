"""Workers that start at once: a process that has imported everything, and forks a worker of a lab for each line it reads.

    python -m tests.forks LAB MODEL

It answers with the worker's process id, and with less the signal that ended it (0: it left of its own accord). Two things
must not be carried over a fork: an open database, and progress bars, whose lock all forks would share: one killed inside it
would stop the rest for good.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tqdm import tqdm


def main(home: Path, model: str) -> None:
    from workbench.engine import stages, talk, worker
    from workbench.engine.backbone import Backbone

    assert stages and talk
    tqdm.set_lock(threading.RLock())
    tqdm.monitor_interval = 0
    Backbone(model, "fp32").add("warm", 2, 2, 0.0, seed=0)  # what the libraries import late
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            worker.Worker(home).live()
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
