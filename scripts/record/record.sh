#!/bin/bash
# record.sh SERVICE IMAGES OUTDIR [LIMIT]: records a service in three containers, each on a file-backed mount of its own:
#   a1 of image a at 0 s, b1 of image b at 2 s, a2 of image a again at 4 s.
# With LIMIT each has a memory cgroup of that size: bytes, or a fraction (0.5) of the most that a container of the recording without it used.
# Leaves OUTDIR/SERVICE/{run,limited}.arrows, {run,limited}.json with what record said, and a.fidx, b.fidx. A recording is made again, at most
# TRIES times (3), if events were lost, a page set differs from mincore(2), or, without LIMIT, if the host's own reclaim (kswapd, DAMON) took more
# than 0.5 % of the pages; if that was in every one of them, the one with the fewest such pages is kept, and says so.
# Needs root, and dist/ (npm run build). See README.md.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
cli=$here/../../dist/cli.js

if [[ ${FOLIOLAB_NAMESPACE-} != own ]]; then
	[[ ${3-} ]] || { echo "usage: record.sh SERVICE IMAGES OUTDIR [LIMIT]" >&2; exit 2; }
	FOLIOLAB_NAMESPACE=own exec unshare --mount --propagation private "$0" "$@"
fi
service=$1 images=$(cd "$2/$1" && pwd) limit=${4-} tries=${TRIES:-3}
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
	rm -f "$work/summary.json" "$out/$kind.try.arrows"
	rmdir "$work"/* "$work" || true
}
trap finish EXIT

mkdir "$work/tracefs" "${names[@]/#/$work/}"
mount -t tracefs tracefs "$work/tracefs"
for side in a b; do node "$cli" index "$images/$side.erofs" -o "$out/$side.fidx"; done

# once TRY: mounts and records. Ends with 0 if the recording is clean, 1 if it is kept as the best so far, 2 if it is not
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
	node "$cli" record -o "$out/$kind.try.arrows" --tracefs "$work/tracefs" --allow-loss --json "${options[@]}" -- bash -c '
		"$here/container.sh" a1 "$work/a1" "$a1" "$script" >&2 & p=$!
		sleep 2
		"$here/container.sh" b1 "$work/b1" "$b1" "$script" >&2 & q=$!
		sleep 2
		"$here/container.sh" a2 "$work/a2" "$a2" "$script" >&2 & r=$!
		wait $p && wait $q && wait $r
	' >"$work/summary.json" || { echo "$service: the recording failed" >&2; exit 3; }
	for name in "${names[@]}"; do
		peaks+=" $name=$(cat "$(group "$name")"/memory.{peak,max_usage_in_bytes} 2>/dev/null)"
	done
	release
	node -e '
		const [from, to, limit, tries, ...peaks] = process.argv.slice(1);
		const summary = JSON.parse(fs.readFileSync(from));
		const peakBytes = Object.fromEntries(peaks.map((peak) => [peak.split("=")[0], Number(peak.split("=")[1])]));
		const { lost, filesDifferent, pagesDifferent, filledPages, droppedPages } = summary;
		const faults = [];
		if (lost > 0) faults.push(`${lost} events were lost`);
		if (filesDifferent > 0) faults.push(`${filesDifferent} files differ from mincore(2) by ${pagesDifferent} pages`);
		if (limit !== "" && droppedPages === 0) faults.push("nothing was dropped: a lower limit is needed");
		const unusable = faults.length > 0;
		if (limit === "" && droppedPages > filledPages * 0.005) faults.push(`the host took ${droppedPages} of ${filledPages} pages away`);
		console.error(`try ${tries}: ${faults.join(", ") || "clean"}`);
		const best = Number(tries) > 1 && fs.existsSync(to) ? JSON.parse(fs.readFileSync(to)).droppedPages : Infinity;
		if (!unusable && (faults.length === 0 || droppedPages < best)) {
			const result = { ...summary, limitBytes: limit === "" ? null : Number(limit), peakBytes, try: Number(tries), faults };
			fs.writeFileSync(to, JSON.stringify(result, null, 2) + "\n");
			fs.renameSync(to.replace(/json$/, "try.arrows"), to.replace(/json$/, "arrows"));
		}
		process.exitCode = unusable ? 2 : faults.length > 0 ? 1 : 0;
	' "$work/summary.json" "$out/$kind.json" "$limit" "$1" $peaks
}

rm -f "$out/$kind.json" "$out/$kind.arrows"
for ((try = 1; try <= tries; try++)); do
	status=0
	once "$try" || status=$?
	((status != 0)) || exit 0
	((status <= 2)) || exit 1
done
[[ -f $out/$kind.json ]] || { echo "$service: no recording in $tries tries that can be used" >&2; exit 1; }
echo "$service: none of $tries recordings is free of the host's reclaim: the one with the fewest pages dropped is kept" >&2
