"""Which texts are taken, by everything that computes with a bundle or a checkpoint."""

import re

import numpy as np
import pytest

from pipeline.errors import InputError
from tests.pipeline.text.test_long_texts import encoder


@pytest.mark.parametrize("texts", ["裁员", b"text", {"text"}, {"text": 1}, iter(["text"])])
def test_what_is_no_list_of_texts_is_refused(texts):
    for take in (encoder("first", 10).check, encoder("first", 10).encode):
        with pytest.raises(InputError, match=f"{re.escape(f'texts is {texts!r:.40}')}, a .*; give a list of texts"):
            take(texts)


def test_all_that_has_an_order_is_a_list_of_texts():
    for texts in (["裁员"], ("裁员",), np.array(["裁员"], object)):
        assert len(encoder("first", 10).encode(texts)) == 1
