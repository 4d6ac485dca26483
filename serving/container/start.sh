#!/bin/sh
# Start the server. Arguments are those of `python3 -m serving.triton`.
#
# The launcher refuses an admin key that others than its user may read, and secrets are often mounted readable by a
# group: so it gets a copy. Without a secret it makes a key of its own, which changes with each container.
set -eu
state_dir=/run/text-classifier
key_file=${ADMIN_KEY_FILE:-/run/secrets/admin_key}
umask 077
mkdir -p "$state_dir"
if [ -e "$key_file" ]; then
    rm -f "$state_dir/admin.key"
    cat "$key_file" >"$state_dir/admin.key"
elif [ -n "${ADMIN_KEY_FILE:-}" ]; then
    echo "error: there is no admin key $key_file; mount the secret there, or leave ADMIN_KEY_FILE out" >&2
    exit 3
fi
exec python3 -m serving.triton --host 0.0.0.0 --state_dir "$state_dir" "$@"
