# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# Packages. They are resolved by the building machine's apt, with its own sources and keys, against
# an empty machine; apt checks signatures and hashes. The files stay in CACHE/debs, and an image is
# installed from an index of exactly those that were resolved.

aptconf=$cache/apt.conf
debs=$cache/debs

apt_configure() {
	mkdir -p "$debs/partial"
	: >"$cache/dpkg-status"
	cat >"$aptconf" <<-EOF
	Dir::State::status "$cache/dpkg-status";
	Dir::Cache::archives "$debs";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	Acquire::ForceHash "SHA256";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	APT::Default-Release "/^$RECIPE_suite/";
	Binary::apt-get::APT::Keep-Downloaded-Packages "true";
	Debug::NoLocking "true";
	EOF
}

# Writes "$work/lock": sha256, size, file name and address of every package, the kernel's last.
packages_resolve() {
	apt_configure
	names=$(lines "$recipe/packages")
	# shellcheck disable=SC2016 # apt expands it
	if ! apt-get indextargets --format '$(CODENAME)' 2>/dev/null | grep -qx "$RECIPE_suite"; then
		die "apt on this machine knows no suite $RECIPE_suite: run apt-get update, or add the suite to its sources"
	fi
	kernel_package=$(apt-cache depends --no-recommends --no-suggests "$RECIPE_kernel" |
		sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
	[ -n "$kernel_package" ] || die "apt knows no kernel for $RECIPE_kernel: run apt-get update"
	mkdir -p "$work/none/partial" # apt does not name what its cache has, so here it has nothing
	# shellcheck disable=SC2086 # a list
	APT_CONFIG=$aptconf apt-get -qq --yes -o "Dir::Cache::archives=$work/none" --print-uris install '?essential' usr-is-merged $names \
		>"$work/uris" 2>"$work/apt.err" || die "packages cannot be resolved: $(cat "$work/apt.err")"
	(cd "$work" && APT_CONFIG=$aptconf apt-get -qq --print-uris download "$kernel_package") \
		>"$work/uris.kernel" 2>>"$work/apt.err" || die "the kernel cannot be resolved: $(cat "$work/apt.err")"
	cat "$work/uris" "$work/uris.kernel" |
		sed -n "s/^'\([^']*\)' \([^ ]*\) \([0-9]*\) SHA256:\([0-9a-f]*\).*/\4 \3 \2 \1/p" >"$work/lock"
	[ -s "$work/lock" ] || die "packages cannot be resolved: apt named none"
}

# One hash of all that makes the image; addresses of packages have no part in it.
inputs_hash() {
	{
		cut -d' ' -f1-3 "$work/lock"
		for key in $recipe_keys; do
			eval "printf '%s=%s\n' $key \"\$RECIPE_$key\""
		done
		(cd "$recipe" && find . \( -type f -o -type l \) -printf '%P %m %l\n' | sort)
		(cd "$recipe" && find . -type f ! -name recipe -print0 | sort -z | xargs -0 sha256sum)
		for f in "$agent" "$init" "${agent%/*}/carrel-waitscreen" "${agent%/*}/carrel-ximwait" \
			"$self" "$lib"/*.sh; do
			sha256sum <"$f"
		done
	} | sha256sum | cut -d' ' -f1
}

packages_fetch() {
	count=$(wc -l <"$work/lock")
	say "packages: $count, $(awk '{s += $2} END {printf "%.0f", s / 1e6}' "$work/lock") MB"
	# shellcheck disable=SC2086 # a list
	APT_CONFIG=$aptconf apt-get -qq --yes --download-only install '?essential' usr-is-merged $names \
		>"$work/apt.log" 2>&1 || die "packages cannot be fetched: $(tail -n 5 "$work/apt.log")"
	(cd "$debs" && APT_CONFIG=$aptconf apt-get -qq download "$kernel_package") \
		>>"$work/apt.log" 2>&1 || die "the kernel cannot be fetched: $(tail -n 5 "$work/apt.log")"
	(cd "$debs" && awk '{print $1 "  " $3}' "$work/lock" | sha256sum --quiet --check -) ||
		die "a package in $debs is damaged: remove that folder and build again"
}

# A repository of exactly the locked packages, read by apt through copy:.
packages_repository() {
	repository=$work/repository
	suite=$repository/dists/$RECIPE_suite
	mkdir -p "$suite/main/binary-amd64" "$repository/pool"
	while read -r _ _ file _; do
		ln "$debs/$file" "$repository/pool/$file"
	done <"$work/lock"
	rm -f "$repository/pool/$kernel_package"_*
	(cd "$repository" && apt-ftparchive --db "$cache/packages.db" packages pool) \
		>"$suite/main/binary-amd64/Packages"
	apt-ftparchive -o "APT::FTPArchive::Release::Suite=$RECIPE_suite" \
		-o "APT::FTPArchive::Release::Codename=$RECIPE_suite" \
		-o APT::FTPArchive::Release::Components=main \
		-o APT::FTPArchive::Release::Architectures=amd64 release "$suite" >"$work/Release"
	mv "$work/Release" "$suite/Release"
}
