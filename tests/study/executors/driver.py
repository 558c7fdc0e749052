"""A driver process for crash tests: `python -m tests.study.executors.driver MODE [MARKER]`.

Prints the process numbers of its two workers, then does what the mode says.
"""

import sys

from niwaki.study.executors import Job, LocalProcessExecutor, LocalProcessSettings
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


def main(mode: str, marker: str) -> None:
    pool = LocalProcessExecutor(ScriptedEvaluator(), LocalProcessSettings(n_workers=2))
    pids: set[object] = set()
    while len(pids) < 2:  # one may be up, and through with both jobs, long before the other
        for number in range(2):
            pool.submit(Job(number, script("sleep", seconds=0.2)))
        while pool.n_unfinished:
            pids |= {one.measurement.details["pid"] for one in pool.wait()}
    say(*pids)
    match mode:
        case "hang":  # both workers are busy, one of them in C, with a child
            pool.submit(Job(2, script("hang")))
            pool.submit(Job(3, script("sleep", seconds=600.0)))
            pool.wait()
        case "child":
            pool.submit(Job(2, script("parent", marker=marker)))
            pool.wait()
        case "idle":
            sys.stdin.read()
        case "forget":  # to close the executor, with jobs running
            pool.submit(Job(2, script("hang")))
            pool.wait(0.2)
            say("the end")
        case "interrupt":
            pool.submit(Job(2, script("sleep", seconds=1.0)))
            try:
                say("waiting")
                pool.wait()
            except KeyboardInterrupt:
                say("interrupted")
            [finished] = pool.wait()
            say(finished.measurement.status, finished.measurement.details)
            pool.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
