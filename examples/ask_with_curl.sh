#!/bin/sh
# Ask Triton and Paddle Serving over HTTP, with curl alone.
#
#     make serve                     # in another terminal, and make serve-paddle in a third
#     examples/ask_with_curl.sh      # or with their addresses: examples/ask_with_curl.sh 10.0.0.1:8000 10.0.0.1:9999
set -eu
triton=${1:-127.0.0.1:8000}
paddle=${2:-127.0.0.1:9999}

echo "Triton: two texts, at most two labels of each, and whether a text was too long to be read as a whole"
curl -sS --fail-with-body "$triton/v2/models/seqcls/infer" -d '{
    "inputs": [{"name": "INPUT", "datatype": "BYTES", "shape": [2, 1], "data": ["某公司宣布裁员两千人", "某地发生地震"]}],
    "outputs": [{"name": "label"}, {"name": "confidence"}, {"name": "truncated"}],
    "parameters": {"top_k": 2}
}'
echo

echo "Triton: an empty text is refused, and named"
curl -sS "$triton/v2/models/seqcls/infer" -d '{
    "inputs": [{"name": "INPUT", "datatype": "BYTES", "shape": [2, 1], "data": ["某公司宣布裁员两千人", ""]}]
}'
echo

echo "Paddle Serving: one text"
curl -sS --fail-with-body "$paddle/seq_cls/prediction" -d '{"key": ["sentence"], "value": ["某公司宣布裁员两千人"]}'
echo

echo "Paddle Serving: two texts, as a JSON array in a string, and a threshold"
curl -sS --fail-with-body "$paddle/seq_cls/prediction" -d '{
    "key": ["sentence", "threshold"],
    "value": ["[\"某公司宣布裁员两千人\", \"某地发生地震\"]", "0.3"]
}'
echo
