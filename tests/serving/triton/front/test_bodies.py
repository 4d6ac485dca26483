"""What a body has to be before Triton reads it."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import pytest

from pipeline.errors import InputError
from pipeline.records import MOST_LEVELS
from serving.triton.front.bodies import MOST_BRACKETS, checked_inference, checked_json, inflated

TEXTS = {"name": "INPUT", "datatype": "BYTES", "shape": [2, 1], "data": ['裁员 ["{', "b\0"]}


def body(**changes):
    return json.dumps({"inputs": [{**TEXTS, **changes}]}).encode()


def whole(**fields):
    return json.dumps({"inputs": [TEXTS], **fields}).encode()


def test_what_is_right_is_the_same_afterwards():
    fields = {
        "id": "1",
        "inputs": [TEXTS],
        "outputs": [{"name": "label"}],
        "parameters": {"threshold": 0.1, "top_k": 3},
    }
    written, header_length = checked_inference(json.dumps(fields).encode(), None)
    assert json.loads(written) == fields
    assert header_length is None
    many = "[" * MOST_BRACKETS + "{"  # in a text they are no brackets
    assert json.loads(checked_inference(body(data=[many, many]), None)[0])["inputs"][0]["data"] == [many, many]


def test_binary_tensors_stay_behind_the_json():
    tensor = {"name": "INPUT", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": 8}}
    header = json.dumps({"inputs": [tensor]}, indent=1).encode()
    written, length = checked_inference(header + b"\4\0\0\0abcd", str(len(header)))
    assert json.loads(written[:length]) == {"inputs": [tensor]}
    assert written[length:] == b"\4\0\0\0abcd"
    assert checked_inference(b"anything", "0") == (b"anything", 0)
    for size in (7, 9, 2**64, -1, 1.5, None):
        tensor["parameters"]["binary_data_size"] = size
        header = json.dumps({"inputs": [tensor]}).encode()
        with pytest.raises(InputError, match=r"bytes of binary tensors, and the inputs say|binary_data_size is"):
            checked_inference(header + b"\4\0\0\0abcd", str(len(header)))
    for length in ("-1", "1e3", "99999", "", "9" * 30):
        with pytest.raises(InputError, match="give the bytes of JSON, at most"):
            checked_inference(body(), length)


@pytest.mark.parametrize("shape", [[1, 2**63 - 1], [2**32, 2**32], [0, 2**63 - 1], [300, 300], [2**64]])
def test_a_shape_of_more_than_was_sent_is_refused(shape):
    with pytest.raises(InputError, match="cannot be in a request of"):
        checked_inference(body(shape=shape, datatype="FP32", data=[1]), None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[" * 40_000, "no JSON in UTF-8"),
        (b'{"inputs":' * 40_000, "no JSON in UTF-8"),
        (b'{"inputs":[],"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}", "no JSON in UTF-8"),
        (
            b'{"inputs":[],"x":' + b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1) + b"}",
            f"nested deeper than {MOST_LEVELS}",
        ),
        (b'{"inputs":[],"x":[' + b"[]," * MOST_BRACKETS + b"[]]}", "more than 100000 brackets"),
        (b'{"inputs":[],"inputs":[{"shape":[1,9223372036854775807]}]}', "has the key 'inputs' twice"),
        (b"\xff\xfe{\0}\0", "no JSON in UTF-8"),
        (b'{"inputs":["\xed\xa0\x80"]}', "no JSON in UTF-8"),
        (b'{"inputs":[], "id": "\\ud800"}', "half of a surrogate pair"),
        (b'{"inputs":[], "id": ' + b"9" * 5000 + b"}", "no JSON in UTF-8"),
        (b"[]", "no JSON object"),
        (b"{}", "no list 'inputs'"),
        (b'{"inputs":[1]}', "input 0 is no object"),
        (body(shape=[1.0]), "shape is"),
        (body(shape=[True]), "shape is"),
        (body(shape=[-1, 1]), "shape is"),
        (body(shape="11"), "shape is"),
        (body(parameters=[1]), "parameters are no object"),
        (body(name=5), "input 0: name is 5; give a string"),
        (body(datatype=5), "datatype is 5; known are BYTES"),
        (body(datatype="TEXT"), "datatype is 'TEXT'; known are BYTES"),
        (body(data=[5]), "data holds 5; of BYTES each is to be a string"),
        (body(data=[["a", None]]), "data holds None; of BYTES each is to be a string"),
        (body(data="a"), "data is 'a'; give a list"),
        (body(datatype="INT64", data=[[1], [True]]), "data holds True; of INT64 each is to be a whole number"),
        (whole(id=5), "id is 5; give a string"),
        (whole(parameters=[]), "the request: parameters are no object"),
        (whole(parameters={"top_k": [1]}), r"parameter top_k is \[1\]; give a string, a number, true or false"),
        (whole(parameters={"priority": "high"}), "parameter priority is 'high'; give a whole number"),
        (whole(outputs={}), "there is no list 'outputs'"),
        (whole(outputs=[5]), "output 0 is no object"),
        (whole(outputs=[{"name": "truncated"}]), "truncated is no answer by itself; ask for label with it"),
        (whole(outputs=[{"name": 5}]), "output 0: name is 5; give a string"),
        (whole(outputs=[{"name": "label", "parameters": 5}]), "output 0: parameters are no object"),
        (whole(outputs=[{"name": "label", "parameters": {"binary_data": 1}}]), "output 0: binary_data is 1; give true"),
        (whole(outputs=[{"name": "label", "parameters": {"classification": 1}}]), "classification is not offered"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_triton_should_not_see_is_refused(raw, message):
    with pytest.raises(InputError, match=message):
        checked_inference(raw, None)


def test_the_doubled_one_of_very_many_names_is_found_at_once():
    names = ",".join(f'"{number}":0' for number in range(200_000))
    with pytest.raises(InputError, match="has the key '199999' twice"):
        checked_json(f'{{{names},"199999":1}}'.encode())


def test_brackets_in_an_open_string_are_counted_in_no_time():
    started = time.process_time()
    with pytest.raises(InputError, match="no JSON in UTF-8"):
        checked_json(b'{"a":"' + b"[" * 100_001 + b'\\"' * 150_000)
    assert time.process_time() - started < 1


def test_a_shape_of_very_many_dimensions_is_refused_in_no_time():
    started = time.process_time()
    with pytest.raises(InputError, match="shape has 1,000,000 dimensions; at most 8 are read"):
        checked_inference(whole(inputs=[{**TEXTS, "shape": [9] * 1_000_000}]), None)
    assert time.process_time() - started < 3


def test_other_bodies_are_bounded_too():
    assert checked_json(b' {"ready": true}') == b'{"ready":true}'
    with pytest.raises(InputError, match="no JSON"):
        checked_json(b"[" * 40_000)


def test_a_packed_body_is_unpacked_up_to_a_size():
    plain = b"x" * 1000
    for encoding, packed in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
        assert inflated(packed, encoding, 1000) == plain
        with pytest.raises(InputError, match="more than 999 bytes once it is unpacked"):
            inflated(packed, encoding, 999)
        for wrong in (packed[:-1], packed + b"more", plain):
            with pytest.raises(InputError, match=f"the body is no {encoding}"):
                inflated(wrong, encoding, 1000)
    with pytest.raises(InputError, match="Content-Encoding is 'br'"):
        inflated(plain, "br", 1000)
