# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# Packages. They are resolved by the building machine's apt, with its own sources and keys, against
# an empty machine, or they are those of a lock. Either way "$work/lock" says which: sha256, size,
# file name and address of each, the kernel's last; the files stay in CACHE/debs, where they are
# checked against it.

aptconf=$cache/apt.conf
# What every desktop has. apt counts itself among the essential ones; an immutable system has no use
# for it. The PCs' RAM disk has what its programs are linked to.
essential='?and(?essential,?not(?exact-name(apt))) usr-is-merged'
[ "$RECIPE_kind" != client ] || essential=''
debs=$cache/debs

# apt reads the machine's own settings after this file; some machines forbid it a cache of what it knows,
# which saves half the time of a build that has nothing to do.
aptcache="-o Dir::Cache::pkgcache=$cache/pkgcache.bin"

apt_configure() {
	mkdir -p "$debs/partial"
	: >"$cache/dpkg-status"
	cat >"$aptconf" <<-EOF
	Dir::State::status "$cache/dpkg-status";
	Dir::Cache::archives "$debs";
	Acquire::ForceHash "SHA256";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	APT::Default-Release "/^$RECIPE_suite/";
	Debug::NoLocking "true";
	EOF
}

# Which packages: of the lock when there is one.
packages_resolve() {
	apt_configure
	names=$(recipe_items packages)
	if [ -n "$lock" ]; then
		packages_read_lock
	else
		packages_ask_apt
	fi
	kernel_deb=$(tail -n 1 "$work/lock" | cut -d' ' -f3)
	kernel_package=${kernel_deb%%_*}
}

packages_read_lock() {
	bad=$(grep -Evn -m 1 -e '^[0-9a-f]{64} [1-9][0-9]* [A-Za-z0-9][A-Za-z0-9.+~%_-]*\.deb [a-z][a-z+]*:[^ ]+$' "$lock" || :)
	[ -z "$bad" ] || die "$lock:${bad%%:*}: is not a line of a lock (sha256 size file.deb address): ${bad#*:}"
	cp "$lock" "$work/lock"
	case $(tail -n 1 "$work/lock" | cut -d' ' -f3) in
	linux-image-*_*) ;;
	*) die "$lock: the last line must be the kernel's package (linux-image-...)" ;;
	esac
	bad=$(cut -d' ' -f3 "$work/lock" | cut -d_ -f1 | sort | uniq -d | head -n 1)
	[ -z "$bad" ] || die "$lock: the package $bad is there twice"
	for name in $names; do
		grep -q " ${name}_[^ ]* " "$work/lock" ||
			die "$(recipe_where packages "$name"): the lock $lock has no package \"$name\": build without --lock to make a new one"
	done
}

# shellcheck disable=SC2016,SC2086 # apt expands it; lists
packages_ask_apt() {
	if ! APT_CONFIG=$aptconf apt-get $aptcache indextargets --format '$(CODENAME)' 2>/dev/null | grep -qx "$RECIPE_suite"; then
		die "$AT_suite: apt on this machine knows no suite $RECIPE_suite: run apt-get update, or add the suite to its sources"
	fi
	kernel_package=$(APT_CONFIG=$aptconf apt-cache $aptcache depends --no-recommends --no-suggests "$RECIPE_kernel" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
	[ -n "$kernel_package" ] || die "$AT_kernel: apt knows no kernel for $RECIPE_kernel: run apt-get update, or name another package"
	names="$names $(packages_optional)"
	mkdir -p "$work/none/partial" # apt does not name what its cache has, so here it has nothing
	APT_CONFIG=$aptconf apt-get $aptcache -qq --yes -o "Dir::Cache::archives=$work/none" --print-uris install $essential $names \
		>"$work/uris" 2>"$work/apt.err" || packages_refused
	(cd "$work" && APT_CONFIG=$aptconf apt-get $aptcache -qq --print-uris download "$kernel_package") \
		>"$work/uris.kernel" 2>>"$work/apt.err" || die "the kernel cannot be resolved: $(cat "$work/apt.err")"
	cat "$work/uris" "$work/uris.kernel" |
		sed -n "s/^'\([^']*\)' \([^ ]*\) \([0-9]*\) SHA256:\([0-9a-f]*\).*/\4 \3 \2 \1/p" >"$work/lock"
	[ -s "$work/lock" ] || die "packages cannot be resolved: apt named none"
}

# Of the recipe's packages of firmware those that apt knows: which there are is decided by the components in
# the machine's sources. None where a folder has it.
packages_optional() {
	[ -z "$firmware" ] || return 0
	for name in $(recipe_items firmware); do
		APT_CONFIG=$aptconf apt-cache $aptcache policy "$name" 2>/dev/null |
			awk -v name="$name" '$1 == "Candidate:" && $2 != "(none)" { print name }'
	done
}

# apt's complaint, with the line of the recipe where the package is named.
packages_refused() {
	for name in $names; do
		# apt quotes a name or it ends the line
		if grep -q -e "^E: Unable to locate package $name\$" -e "^E: Package '$name' has no installation candidate" "$work/apt.err"; then
			die "$(recipe_where packages "$name"): apt knows no package \"$name\" in $RECIPE_suite: correct the name, or run apt-get update"
		fi
	done
	die "packages cannot be resolved: $(cat "$work/apt.err")"
}

# One hash of all that makes the image; addresses of packages have no part in it.
inputs_hash() {
	set --
	{
		cut -d' ' -f1-3 "$work/lock"
		for key in $recipe_keys; do
			eval "printf '%s=%s\n' $key \"\$RECIPE_$key\""
		done
		recipe_hash
		for name in $image_programs; do
			sha256sum <"$(program "$name")"
		done
		[ "$RECIPE_kind" != client ] || set -- "$ca" "$client_initrd/build" "$client_initrd/copy-modules" \
			"$client_initrd/list-firmware"
		# a link may lead to a file of another package
		[ -z "$firmware" ] || (cd "$firmware" && find . \( -type f -o -type l \) -print0 | sort -z |
			xargs -0r sha256sum 2>/dev/null || :)
		for f in "$@" "$self" "$lib"/*.sh; do
			sha256sum <"$f"
		done
	} | sha256sum | cut -d' ' -f1
}

# Has CACHE/debs this very file?
packages_have() { # SHA256 SIZE FILE
	[ -f "$debs/$3" ] && [ "$(stat -c %s "$debs/$3")" = "$2" ] &&
		[ "$(sha256sum "$debs/$3" | cut -d' ' -f1)" = "$1" ]
}

packages_fetch() {
	count=$(wc -l <"$work/lock")
	: >"$work/missing"
	while read -r sum size file address; do
		packages_have "$sum" "$size" "$file" || echo "$sum $size $file $address" >>"$work/missing"
	done <"$work/lock"
	say "packages: $count, $(packages_mb "$work/lock") MB; to be fetched: $(wc -l <"$work/missing"), $(packages_mb "$work/missing") MB"
	[ -s "$work/missing" ] || return 0
	set --
	while read -r sum _ file address; do
		# what apt-ftparchive remembers is of the file that was there
		[ ! -e "$debs/$file" ] || rm -f "$debs/$file" "$cache/packages.db"
		case $address in file:*) address=copy:${address#file:} ;; esac
		set -- "$@" "$address" "$debs/$file" "SHA256:$sum"
	done <"$work/missing"
	# what cannot be fetched is named below, each by its line
	progress "packages: fetching" 100 '^dlstatus:' env "APT_CONFIG=$aptconf" \
		/usr/lib/apt/apt-helper -qq -o APT::Status-Fd=1 download-file "$@" || :
	lost=
	while read -r sum size file address; do
		packages_have "$sum" "$size" "$file" && continue
		rm -f "$debs/$file"
		lost="$lost${lost:+; }$file (sha256 $sum), which $address does not give"
	done <"$work/missing"
	[ -z "$lost" ] ||
		die "${lock:-these packages}: neither in $debs nor to be fetched: $lost. Put the file into $debs, or $(
			[ -n "$lock" ] && echo "build without --lock to take today's packages" || echo "run apt-get update")"
}

packages_mb() {
	awk '{s += $2} END {printf "%.0f", s / 1e6}' "$1"
}

# A repository of exactly the locked packages but the kernel's, read by apt through copy:, and
# "$work/index", what it and the kernel's package say of themselves.
packages_repository() {
	repository=$work/repository
	suite=$repository/dists/$RECIPE_suite
	mkdir -p "$suite/main/binary-amd64" "$repository/pool" "$repository/kernel"
	while read -r _ _ file _; do
		ln "$debs/$file" "$repository/pool/$file"
	done <"$work/lock"
	mv "$repository/pool/$kernel_deb" "$repository/kernel/"
	(
		cd "$repository"
		for part in pool kernel; do
			apt-ftparchive --db "$cache/packages.db" -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false \
				-o APT::FTPArchive::SHA512=false packages $part >"$work/index.$part"
		done
	)
	cat "$work/index.pool" "$work/index.kernel" >"$work/index"
	mv "$work/index.pool" "$suite/main/binary-amd64/Packages"
	apt-ftparchive -o "APT::FTPArchive::Release::Suite=$RECIPE_suite" \
		-o "APT::FTPArchive::Release::Codename=$RECIPE_suite" \
		-o APT::FTPArchive::Release::Components=main \
		-o APT::FTPArchive::Release::Architectures=amd64 release "$suite" >"$work/Release"
	mv "$work/Release" "$suite/Release"
}
