"""What parts of niwaki say in passing reaches whoever watches."""

import logging
import threading

from niwaki.study.notices import forwarded

LOG = logging.getLogger("niwaki.some.part")


def test_each_sentence_is_said_once() -> None:
    said: list[str] = []
    with forwarded(said.append):
        for _ in range(3):
            LOG.warning("waiting for process %d", 4711)
        LOG.warning("the wait is over")
        LOG.info("nobody needs this")
        logging.getLogger("another.library").warning("nor this")
    LOG.warning("too late")
    assert said == ["waiting for process 4711", "the wait is over"]


def test_other_threads_do_not_disturb_a_display() -> None:
    said: list[str] = []
    with forwarded(said.append):
        thread = threading.Thread(target=LOG.warning, args=("from elsewhere",))
        thread.start()
        thread.join()
    assert said == []
