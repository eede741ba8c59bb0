# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# What the packages alone make, in layers that the cache keeps: Debian's essential packages, then one
# for each part of the recipe's lists (a base's list is before the recipe's own, and --- divides one).
# A layer is always made from the one below and an exact list of packages, never by changing an older
# one, so the tree is the same whatever the cache had; a changed package has only its layer and those
# above made again.

# "$work/tree" from the topmost layer.
layers_tree() {
	packages_repository
	layers_apt
	layers_parts >"$work/parts"
	below='' wanted='' layer_number=1 layer_last=$(wc -l <"$work/parts")
	: >"$work/used"
	while read -r part; do
		wanted="$wanted $part"
		layers_list
		layers_make
		layer_number=$((layer_number + 1))
	done <"$work/parts"
	mv "$work/used" "$layers/$RECIPE_name.used"
	for file in "$layers"/*.tar.zst; do
		grep -qxF "${file##*/}" "$layers"/*.used || rm -f "$file"
	done
	[ -d "$work/tree" ] || layers_unpack "$below" "$work/tree"
	# /dev is the kernel's in a desktop, and device files are not for everybody to make
	rm -rf "$work/tree/dev"
	mkdir "$work/tree/dev"
	# of the machine that installed
	rm -f "$work/tree/etc/hostname" "$work/tree/etc/resolv.conf" "$work/tree/etc/apt/sources.list"
	layers_verify
}

# The parts of the recipe's packages, one a line, Debian's essential ones first.
layers_parts() {
	echo "$essential"
	recipe_lines packages | cut -f2 | awk '
		$0 == "---" { if (part != "") print part; part = ""; next }
		{ part = part (part == "" ? "" : " ") $0 }
		END { if (part != "") print part }'
}

# An apt that knows the repository of the locked packages and nothing else.
layers_apt() {
	layers=$cache/layers
	mkfifo "$work/fifo"
	mkdir -p "$layers" "$work/apt/lists/partial" "$work/apt/archives/partial"
	echo "deb [trusted=yes] copy:$repository $RECIPE_suite main" >"$work/apt/sources"
	cat >"$work/apt/conf" <<-EOF
	Dir::Etc::sourcelist "$work/apt/sources";
	Dir::Etc::sourceparts "-";
	Dir::Etc::preferencesparts "-";
	Dir::State::lists "$work/apt/lists";
	Dir::State::status "$cache/dpkg-status";
	Dir::Cache::archives "$work/apt/archives";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Debug::NoLocking "true";
	EOF
	APT_CONFIG=$work/apt/conf apt-get -qq update >>"$log" 2>&1 || die "the packages of the lock cannot be read by apt"
}

# The packages that a layer has with those below it, into "$work/layer" (the topmost has all of the
# lock), and the layer's name, a sum over them, the layer below and how layers are made.
layers_list() {
	if [ "$layer_number" = "$layer_last" ]; then
		cut -d' ' -f3 "$work/lock" | cut -d_ -f1 | grep -vxF "$kernel_package" | sort >"$work/layer"
	else
		# shellcheck disable=SC2086 # a list
		APT_CONFIG=$work/apt/conf apt-get -qq -s install $wanted >"$work/simulated" 2>>"$log" ||
			die "the packages of ${lock:-the recipe} cannot be installed together: $(tail -n 3 "$log")"
		sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$work/simulated" | sort >"$work/layer"
	fi
	layer=$({
		echo "$below $RECIPE_suite"
		awk 'NR == FNR { wanted[$1]; next } { split($3, part, "_") } part[1] in wanted { print $1 }' \
			"$work/layer" "$work/lock" | sort
		cat "$lib/layers.sh"
	} | sha256sum | cut -c1-24)
}

# The files of a layer into FOLDER, which is made.
layers_unpack() { # LAYER FOLDER
	mkdir "$2"
	zstd -dc "$layers/$1.tar.zst" | tar -x -p --xattrs --xattrs-include='*' --exclude='./dev/*' -C "$2"
}

# "$work/new" into the cache as the layer, and away; as the topmost it is the image's tree. Times are
# brought to one that is not later than SOURCE_DATE_EPOCH, in the tree as in the archive. Where the
# packages came from is a folder of this cache: the layers above may be made when it is elsewhere.
layers_store() {
	tar -c --sort=name --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
		--xattrs --xattrs-include='*' --numeric-owner --clamp-mtime --mtime="@$SOURCE_DATE_EPOCH" \
		--exclude=./etc/apt/sources.list \
		-C "$work/new" . >"$work/fifo" &
	zstd -q -1 <"$work/fifo" >"$layers/$layer.part"
	wait $! || die "a layer cannot be stored"
	sync "$layers/$layer.part"
	mv "$layers/$layer.part" "$layers/$layer.tar.zst"
	if [ "$layer_number" = "$layer_last" ]; then
		mv "$work/new" "$work/tree"
		find "$work/tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	else
		rm -rf "$work/new"
	fi
}

# Makes the layer when the cache lacks it; it is the one below from then on.
layers_make() {
	echo "$layer.tar.zst" >>"$work/used"
	if [ ! -e "$layers/$layer.tar.zst" ]; then
		if [ -z "$below" ]; then
			layers_first
		else
			layers_next
		fi
		layers_store
	fi
	below=$layer
	mv "$work/layer" "$work/layer.below"
}

# mmdebstrap into "$work/new", with what all layers have in common.
layers_mmdebstrap() { # WHAT COUNT ARGUMENTS
	layer_what="packages: installing $1" layer_count=$2
	shift 2
	mkdir "$work/new"
	progress "$layer_what" $((2 * layer_count)) '^(Unpacking|Setting up) ' layers_run "$@" ||
		die "packages cannot be installed: $(grep -E '^(E|dpkg): ' "$log" | cut -c1-400 | tail -n 3)"
}

# shellcheck disable=SC2016 # the hooks' own variables
layers_run() {
	mmdebstrap --mode=root --format=directory --verbose \
		--aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
		--aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-include=/usr/share/locale/locale.alias' \
		--dpkgopt='path-include=/usr/share/locale/ko/*' \
		"$@" "$RECIPE_suite" "$work/new" "deb [trusted=yes] copy:$repository $RECIPE_suite main"
}

layers_first() {
	layers_mmdebstrap "layer 1 of $((layer_last))" "$(wc -l <"$work/layer")" --variant=essential \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr "--include=$(tr '\n' ',' <"$work/layer" | sed 's/,$//')"
}

# shellcheck disable=SC2016
# mmdebstrap unpacks the layer below, and our hook has apt install the rest from outside.
layers_next() {
	comm -13 "$work/layer.below" "$work/layer" >"$work/layer.new"
	LAYER_BELOW=$layers/$below.tar.zst LAYER_NEW=$work/layer.new
	export LAYER_BELOW LAYER_NEW
	layers_mmdebstrap "layer $layer_number of $((layer_last))" "$(wc -l <"$work/layer.new")" --variant=custom \
		--setup-hook='zstd -dc "$LAYER_BELOW" | tar -x -p --xattrs --xattrs-include="*" --exclude="./dev/*" -C "$1"' \
		--customize-hook='export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
			APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --yes -o Dpkg::Use-Pty=false \
			-o "DPkg::Chroot-Directory=$1" install $(cat "$LAYER_NEW")'
}

# The tree has exactly the packages of the lock, each with its version.
layers_verify() {
	dpkg-query --admindir="$work/tree/var/lib/dpkg" -W -f '${Package} ${Version} ${Architecture}\n' | sort >"$work/installed"
	awk '/^Package: / { name = $2 } /^Version: / { version = $2 } /^Architecture: / { arch = $2 }
		/^$/ { print name, version, arch }' "$suite/main/binary-amd64/Packages" | sort >"$work/expected"
	difference=$(comm -3 "$work/expected" "$work/installed" | tr -s '\t\n' '  ' | cut -c1-300)
	[ -z "$difference" ] || die "the image holds other packages than its lock: $difference"
}
