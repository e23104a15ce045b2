#!/bin/bash
# record.sh SERVICE IMAGES OUTDIR [LIMIT_BYTES]: records a service in three containers, each on a file-backed mount of its own:
#   a1 of image a at 0 s, b1 of image b at 2 s, a2 of image a again at 4 s. Under LIMIT_BYTES each has a memory cgroup of that size.
# Leaves OUTDIR/SERVICE/{run,limited}.arrows, and a.fidx, b.fidx. Needs root, and dist/ (npm run build). See README.md.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
cli=$here/../../dist/cli.js

if [[ ${FOLIOLAB_NAMESPACE-} != own ]]; then
	[[ ${3-} ]] || { echo "usage: record.sh SERVICE IMAGES OUTDIR [LIMIT_BYTES]" >&2; exit 2; }
	FOLIOLAB_NAMESPACE=own exec unshare --mount --propagation private "$0" "$@"
fi
service=$1 images=$(cd "$2/$1" && pwd) limit=${4-}
mkdir -p "$3/$service"
out=$(cd "$3/$service" && pwd)

work=$(mktemp -d)
groups=()
finish() {
	local group
	for group in "${groups[@]}"; do
		for _ in {1..50}; do rmdir "$group" 2>/dev/null && break; sleep 0.1; done
	done
	umount -l "$work"/* 2>/dev/null || true
	rmdir "$work"/* "$work" || true
}
trap finish EXIT

mkdir "$work/tracefs"
mount -t tracefs tracefs "$work/tracefs"
memory=/sys/fs/cgroup
[[ ! -d $memory/memory ]] || memory=$memory/memory # version 1
options=()
for name in a1 b1 a2; do
	mkdir "$work/$name"
	# Not cached, as on a machine that has just started.
	dd if="$images/${name:0:1}.erofs" iflag=nocache count=0 status=none
	node "$here/mount.mjs" "$images/${name:0:1}.erofs" "$work/$name"
	group=$memory/foliolab-$$-$name
	mkdir "$group"
	groups+=("$group")
	if [[ $limit ]]; then
		if [[ -f $group/memory.max ]]; then echo "$limit" >"$group/memory.max"; else echo "$limit" >"$group/memory.limit_in_bytes"; fi
	fi
	options+=(--mount "$work/$name=$name" --container "$name=$group")
	[[ -f $out/${name:0:1}.fidx ]] || node "$cli" index "$images/${name:0:1}.erofs" -o "$out/${name:0:1}.fidx"
done

export here work script=$here/services/$service.sh groups_a1=${groups[0]} groups_b1=${groups[1]} groups_a2=${groups[2]}
node "$cli" record -o "$out/$([[ $limit ]] && echo limited || echo run).arrows" --tracefs "$work/tracefs" "${options[@]}" -- bash -c '
	"$here/container.sh" a1 "$work/a1" "$groups_a1" "$script" & a1=$!
	sleep 2
	"$here/container.sh" b1 "$work/b1" "$groups_b1" "$script" & b1=$!
	sleep 2
	"$here/container.sh" a2 "$work/a2" "$groups_a2" "$script" & a2=$!
	wait $a1; wait $b1; wait $a2
'
