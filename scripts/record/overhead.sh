#!/bin/bash
# overhead.sh IMAGE [PAIRS]: what being recorded costs. IMAGE is an EROFS image with redis-server and redis-benchmark (images.sh … redis).
# Each of three loads runs PAIRS times (7) without and with `foliolab record` of its mount, in turns, and which comes first changes too:
#   redis  redis-benchmark, 50 clients over a Unix socket, server and clients run from the mount; CPU is the server's
#   cold   find | xargs cat of every file of the image, on a mount just made; the image itself is in the page cache
#   warm   the same again, on the same mount: nothing is read in, and every read is an event
# Prints a table: wall-clock and CPU seconds (user + system) of the load, median and range, and the recorder's own CPU seconds.
# Needs root, dist/ (npm run build), and cores that others leave alone. Environment: REQUESTS of redis-benchmark (100000).
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
cli=$here/../../dist/cli.js
if [[ ${FOLIOLAB_NAMESPACE-} != own ]]; then
	[[ ${1-} ]] || { echo "usage: overhead.sh IMAGE [PAIRS]" >&2; exit 2; }
	FOLIOLAB_NAMESPACE=own exec unshare --mount --propagation private "$0" "$@"
fi
image=$(realpath "$1") pairs=${2:-7} requests=${REQUESTS:-100000}
work=$(mktemp -d)
server= recorder=
finish() {
	[[ ! $server ]] || kill "$server" || true
	[[ ! $recorder ]] || kill -INT "$recorder" || true
	wait || true
	umount -l "$work/m/tmp" "$work/m" "$work/tracefs" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap finish EXIT
mkdir "$work/m" "$work/tracefs"
mount -t tracefs tracefs "$work/tracefs"
hertz=$(getconf CLK_TCK)

# cpu PID…: user + system seconds of processes and of the children they have waited for
cpu() {
	local pid sum=0 rest fields
	for pid; do
		rest=$(<"/proc/$pid/stat")
		read -ra fields <<<"${rest##*) }"
		sum=$((sum + fields[11] + fields[12] + fields[13] + fields[14]))
	done
	awk -v t=$sum -v hz="$hertz" 'BEGIN { printf "%.3f", t / hz }'
}
mounted() {
	! mountpoint -q "$work/m" || { umount -l "$work/m/tmp" 2>/dev/null || true; umount "$work/m"; }
	node "$here/mount.mjs" "$image" "$work/m"
}
record_start() {
	node "$cli" record -o "$work/run.arrows" --tracefs "$work/tracefs" --mount "$work/m=m" --hold 0ms --duration 60min --json >"$work/summary.json" &
	recorder=$!
	until [[ $(cat "$work/tracefs/instances/foliolab-$recorder-cache/tracing_on" 2>/dev/null) == 1 ]]; do sleep 0.1; done
}
record_stop() {
	local own
	own=$(cpu "$recorder")
	kill -INT "$recorder"
	wait "$recorder" || { echo "recording failed" >&2; exit 1; }
	recorder=
	facts=$(node -e 'const s = JSON.parse(fs.readFileSync(process.argv[1])); console.log(s.events, s.lost, process.argv[2])' "$work/summary.json" "$own")
}
now() { date +%s.%N; }

# redis, cold, warm: print wall-clock and CPU seconds
redis() {
	local start end before after
	before=$(cpu "$server")
	start=$(now)
	chroot "$work/m" /usr/bin/redis-benchmark -s /tmp/socket -n "$requests" -c 50 -t set,get -q >/dev/null
	end=$(now)
	after=$(cpu "$server")
	echo "$start $end $before $after"
}
warm() {
	local start end
	start=$(now)
	( find "$work/m" -xdev -type f -print0 | xargs -0 cat >/dev/null; cpu $BASHPID >"$work/cpu" )
	end=$(now)
	echo "$start $end 0 $(cat "$work/cpu")"
}
prepare() {
	mounted
	case $1 in
	redis)
		mount -t tmpfs tmpfs "$work/m/tmp"
		chroot "$work/m" /usr/bin/redis-server --port 0 --unixsocket /tmp/socket --save '' --dir /tmp --daemonize no >/dev/null &
		server=$!
		until chroot "$work/m" /usr/bin/redis-cli -s /tmp/socket ping >/dev/null 2>&1; do sleep 0.1; done
		;;
	warm) warm >/dev/null ;;
	esac
}
one() {
	local load=$1 mode=$2 times facts=
	prepare "$load"
	[[ $mode == without ]] || record_start
	times=$("${load/cold/warm}")
	[[ $mode == without ]] || record_stop
	if [[ $server ]]; then kill "$server"; wait "$server" || true; server=; fi
	echo "$load $mode $times $facts" | tee -a "$work/times" >&2
}
cat "$image" >/dev/null
for load in redis cold warm; do
	for ((i = 0; i < pairs; i++)); do
		if ((i % 2)); then one $load with; one $load without; else one $load without; one $load with; fi
	done
done
node - "$work/times" <<'JS'
const runs = require('fs').readFileSync(process.argv[2], 'utf8').trim().split('\n').map((line) => line.split(' '));
const median = (a) => { const s = [...a].sort((x, y) => x - y); return s.length % 2 ? s[s.length >> 1] : (s[s.length / 2 - 1] + s[s.length / 2]) / 2; };
const shown = (a) => `${median(a).toFixed(2)} (${Math.min(...a).toFixed(2)} – ${Math.max(...a).toFixed(2)})`;
const percent = (from, to) => `${(100 * (median(to) / median(from) - 1)).toFixed(0)} %`;
console.log('| load | pairs | wall s without | with | slower | CPU s without | with | more | events, lost | recorder’s CPU s |');
console.log('| ---- | ----: | -------------: | ---: | -----: | ------------: | ---: | ---: | -----------: | ---------------: |');
for (const load of ['redis', 'cold', 'warm']) {
  const of = (mode) => runs.filter((r) => r[0] === load && r[1] === mode);
  const wall = (mode) => of(mode).map((r) => r[3] - r[2]);
  const cpu = (mode) => of(mode).map((r) => r[5] - r[4]);
  const facts = of('with').map((r) => r.slice(6).map(Number));
  console.log(`| ${[load, of('with').length, shown(wall('without')), shown(wall('with')), percent(wall('without'), wall('with')), shown(cpu('without')), shown(cpu('with')),
    percent(cpu('without'), cpu('with')), `${median(facts.map((f) => f[0]))}, ${facts.reduce((sum, f) => sum + f[1], 0)}`, shown(facts.map((f) => f[2]))].join(' | ')} |`);
}
JS
