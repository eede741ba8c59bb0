# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# What a build says: lines with time and, where it can be known, percent; all of them, and what the
# tools said, go to build.log. On the way standard error is that log, and fd 3 is the terminal.

log=/dev/null

say() {
	line=$(printf '%s %3ds  %s' "$label" $(($(date +%s) - started)) "$*")
	printf '%s\n' "$line"
	printf '%s\n' "$line" >>"$log" || :
}

# The one line of a failure. The log is kept where the message says.
die() {
	died=yes
	kept=
	if [ "$log" != /dev/null ]; then
		kept="$cache/failed-$label.log"
		# a disk that is full says it in many ways; the remedy is the same
		full=$(say_full)
		printf '%s\n' "$*" >>"$log" || :
		cp "$log" "$kept" 2>/dev/null || kept=
		[ -z "${new-}" ] || rm -rf "$new"
	fi
	printf 'carrel-image-build: %s%s\n' "${full:+$full; nothing was published and what was there is as it was. }" "$*" >&3
	[ -z "$kept" ] || printf 'carrel-image-build: the whole log is %s\n' "$kept" >&3
	exit 1
}

# Says which folder is full when that is why the build fails, else nothing.
say_full() {
	folder=
	for f in "$cache" "$out"; do
		[ "$(df --output=avail -k "$f" | tail -n 1)" -ge 4096 ] || folder=$f
	done
	# what failed has cleaned up behind itself: the installer, which works in the cache
	if [ -z "$folder" ] && tail -n 400 "$log" | grep -q 'No space left on device'; then
		folder=$cache
	fi
	[ -z "$folder" ] || printf 'the disk of %s is full (%s MB are free): make room there or give another folder' \
		"$folder" $(($(df --output=avail -k "$folder" | tail -n 1) / 1024))
}

# Runs a command, its output into the log; WHAT goes on the screen with percent of TOTAL events
# (lines that begin with one of the WORDS, a regular expression). The status is the command's.
progress() { # WHAT TOTAL WORDS COMMAND...
	progress_what=$1 progress_total=$2 progress_words=$3
	shift 3
	{
		rc=0
		"$@" 2>&1 || rc=$?
		echo $rc >"$work/status"
	} | awk -v what="$progress_what" -v total="$progress_total" -v words="$progress_words" \
		-v label="$label" -v started="$started" -v log_file="$log" '
		BEGIN { step = 10 }
		{ print >>log_file; fflush(log_file) }
		$0 ~ words {
			percent = words == "^dlstatus:" ? percent_of($0) : 100 * ++seen / total
			while (percent >= step && step < 100) {
				last = step
				step += 10
			}
			if (last) {
				"date +%s" | getline now
				close("date +%s")
				line = sprintf("%s %3ds  %s %d %%", label, now - started, what, last)
				print line
				print line >>log_file
				fflush()
				last = 0
			}
		}
		# dlstatus:NUMBER:PERCENT:TEXT
		function percent_of(text, part) { split(text, part, ":"); return part[3] + 0 }'
	return "$(cat "$work/status")"
}
