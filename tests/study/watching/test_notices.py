"""What parts of niwaki say in passing reaches whoever watches."""

import logging
import os
import threading

from niwaki.study.watching.notices import forwarded

LOG = logging.getLogger("niwaki.some.part")


def test_a_sentence_is_not_repeated() -> None:
    said: list[str] = []
    with forwarded(said.append):
        for _ in range(3):
            LOG.warning("waiting for process %d", 4711)
        LOG.warning("the wait is over")
        LOG.warning("waiting for process %d", 4711)
        LOG.info("nobody needs this")
        logging.getLogger("another.library").warning("nor this")
    LOG.warning("too late")
    assert said == ["waiting for process 4711", "the wait is over", "waiting for process 4711"]


def test_other_threads_do_not_disturb_a_display() -> None:
    said: list[str] = []
    with forwarded(said.append):
        thread = threading.Thread(target=LOG.warning, args=("from elsewhere",))
        thread.start()
        thread.join()
    assert said == []


def test_a_forked_child_does_not_disturb_it_either() -> None:
    reading, writing = os.pipe()

    def say(sentence: str) -> None:
        os.write(writing, sentence.encode())

    with forwarded(say):
        child = os.fork()
        if child == 0:
            LOG.warning("from a child")
            os._exit(0)
        os.waitpid(child, 0)
        LOG.warning("from the parent")
    assert os.read(reading, 100) == b"from the parent"
    os.close(reading)
    os.close(writing)
