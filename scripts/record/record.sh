#!/bin/bash
# record.sh SERVICE IMAGES OUTDIR [LIMIT]: records a service in three containers, each on a file-backed mount of its own:
#   a1 of image a at 0 s, b1 of image b at 2 s, a2 of image a again at 4 s.
# With LIMIT each has a memory cgroup of that size: bytes, or a fraction (0.5) of the most that a container of the recording without it used.
# Leaves OUTDIR/SERVICE/{run,limited}.arrows, {run,limited}.json with what record said, and a.fidx, b.fidx. A recording is made again, at most
# TRIES times (5), if events were lost, a page set differs from mincore(2), or the host's own reclaim took more than 0.5 % of the pages.
# Needs root, and dist/ (npm run build). See README.md.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
cli=$here/../../dist/cli.js

if [[ ${FOLIOLAB_NAMESPACE-} != own ]]; then
	[[ ${3-} ]] || { echo "usage: record.sh SERVICE IMAGES OUTDIR [LIMIT]" >&2; exit 2; }
	FOLIOLAB_NAMESPACE=own exec unshare --mount --propagation private "$0" "$@"
fi
service=$1 images=$(cd "$2/$1" && pwd) limit=${4-} tries=${TRIES:-5}
mkdir -p "$3/$service"
out=$(cd "$3/$service" && pwd)
kind=$([[ $limit ]] && echo limited || echo run)
if [[ $limit == *.* ]]; then
	limit=$(node -e 'const [file, part] = process.argv.slice(1);
		console.log(Math.ceil(Math.max(...Object.values(JSON.parse(fs.readFileSync(file)).peakBytes)) * part / 4096) * 4096)' "$out/run.json" "$limit")
fi

work=$(mktemp -d)
export work
names=(a1 b1 a2)
memory=/sys/fs/cgroup
[[ ! -d $memory/memory ]] || memory=$memory/memory # version 1
group() { echo "$memory/foliolab-$$-$1"; }
release() {
	local name
	for name in "${names[@]}"; do
		for _ in {1..50}; do rmdir "$(group "$name")" 2>/dev/null || sleep 0.1; [[ -d $(group "$name") ]] || break; done
		! mountpoint -q "$work/$name" || umount -l "$work/$name"
	done
}
finish() {
	release
	umount -l "$work/tracefs" || true
	rm -f "$work/summary.json"
	rmdir "$work"/* "$work" || true
}
trap finish EXIT

mkdir "$work/tracefs" "${names[@]/#/$work/}"
mount -t tracefs tracefs "$work/tracefs"
for side in a b; do node "$cli" index "$images/$side.erofs" -o "$out/$side.fidx"; done

# once NAME…: mounts, records into work/, and says whether it can be used
once() {
	local name options=() peaks=
	for name in "${names[@]}"; do
		# Not cached, as on a machine that has just started.
		dd if="$images/${name:0:1}.erofs" iflag=nocache count=0 status=none
		node "$here/mount.mjs" "$images/${name:0:1}.erofs" "$work/$name"
		mkdir "$(group "$name")"
		if [[ $limit ]]; then
			echo "$limit" >"$(group "$name")/$([[ -f $(group "$name")/memory.max ]] && echo memory.max || echo memory.limit_in_bytes)"
		fi
		options+=(--mount "$work/$name=$name" --container "$name=$(group "$name")")
	done
	export here script=$here/services/$service.sh a1=$(group a1) b1=$(group b1) a2=$(group a2)
	node "$cli" record -o "$out/$kind.arrows" --tracefs "$work/tracefs" --allow-loss --json "${options[@]}" -- bash -c '
		"$here/container.sh" a1 "$work/a1" "$a1" "$script" >&2 & p=$!
		sleep 2
		"$here/container.sh" b1 "$work/b1" "$b1" "$script" >&2 & q=$!
		sleep 2
		"$here/container.sh" a2 "$work/a2" "$a2" "$script" >&2 & r=$!
		wait $p && wait $q && wait $r
	' >"$work/summary.json" || { echo "$service: the recording failed" >&2; exit 1; }
	for name in "${names[@]}"; do
		peaks+=" $name=$(cat "$(group "$name")"/memory.{peak,max_usage_in_bytes} 2>/dev/null)"
	done
	release
	node -e '
		const [from, to, limit, try_, ...peaks] = process.argv.slice(1);
		const summary = JSON.parse(fs.readFileSync(from));
		const peakBytes = Object.fromEntries(peaks.map((peak) => [peak.split("=")[0], Number(peak.split("=")[1])]));
		const result = { ...summary, limitBytes: limit === "" ? null : Number(limit), peakBytes, tries: Number(try_) };
		fs.writeFileSync(to, JSON.stringify(result, null, 2) + "\n");
		const { lost, filesDifferent, pagesDifferent, filledPages, droppedPages } = summary;
		const faults = [];
		if (lost > 0) faults.push(`${lost} events were lost`);
		if (filesDifferent > 0) faults.push(`${filesDifferent} files differ from mincore(2) by ${pagesDifferent} pages`);
		if (limit === "" && droppedPages > filledPages * 0.005) faults.push(`the host took ${droppedPages} of ${filledPages} pages away`);
		if (limit !== "" && droppedPages === 0) faults.push("nothing was dropped: a lower limit");
		console.error(`try ${try_}: ${faults.join(", ") || "clean"}`);
		process.exitCode = faults.length > 0 ? 1 : 0;
	' "$work/summary.json" "$out/$kind.json" "$limit" "$1" $peaks
}

for ((try = 1; try <= tries; try++)); do
	! once "$try" || exit 0
done
echo "$service: no clean recording in $tries tries" >&2
exit 1
