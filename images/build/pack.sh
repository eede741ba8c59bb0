# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The files of a version. Their names and the manifest are described in docs/protocols.md, "Images
# on disk".

size_mb() {
	echo $((($(stat -c %s "$1") + 500000) / 1000000))
}

# The root's file system, "$root". A desktop reads little of its own soon: erofs. A PC reads all of it
# over the wire before it starts: squashfs, which is smaller (docs/images.md has the figures).
pack_file_system() {
	if [ "$RECIPE_kind" = client ]; then
		format=squashfs root=$work/root.squashfs
		set -- "${RECIPE_compression%%,*}"
		[ "$RECIPE_compression" = "$1" ] || set -- "$1" -Xcompression-level "${RECIPE_compression#*,}"
		env -u SOURCE_DATE_EPOCH mksquashfs "$work/tree" "$root" -comp "$@" -b 256K -noappend -all-root \
			-no-xattrs -mkfs-time 0 -all-time 0 -reproducible -no-progress -quiet
	else
		format=erofs root=$work/root.erofs
		mkfs.erofs "-z$RECIPE_compression" -T "$SOURCE_DATE_EPOCH" \
			-U 00000000-0000-0000-0000-000000000001 "$root" "$work/tree"
	fi >"$work/fs.log" 2>&1 || die "the file system cannot be made: $(tail -n 3 "$work/fs.log")"
}

# The file system with its dm-verity tree behind; root_hash, salt and data_blocks are set.
pack_root() {
	pack_file_system
	data_size=$(stat -c %s "$root")
	data_blocks=$(((data_size + 4095) / 4096))
	truncate -s $((data_blocks * 4096)) "$root"
	salt=$(echo "$inputs" | cut -c1-64)
	root_hash=$(veritysetup format --no-superblock --hash=sha256 --data-block-size=4096 \
		--hash-block-size=4096 --data-blocks="$data_blocks" \
		--hash-offset=$((data_blocks * 4096)) --salt="$salt" "$root" "$root" |
		sed -n 's/^Root hash:[[:space:]]*//p')
	[ ${#root_hash} = 64 ] || die "the hash tree of the image cannot be made"
	say "root: $(size_mb "$root") MB"
}

# NAME FILE: one member of "files".
manifest_file() {
	printf '"%s":{"file":"%s","size":%s,"sha256":"%s"}' "$1" "$2" "$(stat -c %s "$work/version/$2")" \
		"$(sha256sum "$work/version/$2" | cut -d' ' -f1)"
}

# A member that names FILE with its sum.
manifest_sum() { # NAME FILE
	printf '"%s":{"file":"%s","sha256":"%s"}' "$1" "$2" "$(sha256sum "$work/version/$2" | cut -d' ' -f1)"
}

manifest_make() {
	printf '{"name":"%s","version":"%s","kind":"%s","inputs":"%s",\n' "$RECIPE_name" "$version" \
		"$RECIPE_kind" "$inputs"
	printf ' "files":{%s,\n  %s,\n  %s' "$(manifest_file kernel vmlinuz)" \
		"$(manifest_file initrd initrd)" "$(manifest_file root "${root##*/}")"
	[ ! -e "$work/version/drivers.pack" ] || printf ',\n  %s' "$(manifest_file drivers drivers.pack)"
	printf '},\n'
	printf ' "root":{"format":"%s","data_blocks":%s,"block_size":4096,"root_hash":"%s","salt":"%s"},\n' \
		"$format" "$data_blocks" "$root_hash" "$salt"
	printf ' "recipe":"%s","packages":%s,\n %s,\n %s,\n' "$(recipe_hash)" "$count" \
		"$(manifest_sum lock packages.lock)" "$(manifest_sum sbom sbom.json)"
	if [ "$RECIPE_kind" = client ]; then
		printf ' "cmdline":"%s"}\n' "$RECIPE_cmdline"
		return
	fi
	printf ' "memory_min_mib":%s,"handoff":"%s","cmdline":"%s carrel.upper=%s"}\n' "$RECIPE_memory_min" \
		"$RECIPE_handoff" "$RECIPE_cmdline" "$RECIPE_upper"
}

# Chooses the version's name; held against other builds into OUT from here to its appearance.
pack_name() {
	mkdir -p "$out/$RECIPE_name"
	exec 8>"$out/$RECIPE_name/.lock"
	flock 8
	if [ -n "$version" ]; then
		[ ! -e "$out/$RECIPE_name/$version" ] || die "--version $version: $out/$RECIPE_name has that version; versions never change"
		return
	fi
	n=1
	day=$(date -u +%Y%m%d)
	while [ -e "$out/$RECIPE_name/$day.$n" ]; do
		n=$((n + 1))
	done
	version=$day.$n
}

# The signature of the manifest FILE on standard output.
pack_sign() { # FILE
	"$signer" --key "$sign" "$1" || die "the manifest cannot be signed with $sign"
}

# Puts the version under OUT and publishes it: all of it is in a hidden folder, on the disk, before
# one rename makes it appear whole.
pack_version() {
	mkdir "$work/version"
	cp "$kernel_file" "$work/version/vmlinuz"
	mv "$work/initrd" "$work/version/initrd"
	mv "$root" "$work/version/"
	[ ! -e "$work/drivers.pack" ] || mv "$work/drivers.pack" "$work/version/"
	cp "$work/lock" "$work/version/packages.lock"
	sbom_make "$work/version/sbom.json"
	pack_name
	manifest_make >"$work/version/manifest.json"
	[ -z "$sign" ] || pack_sign "$work/version/manifest.json" >"$work/version/manifest.sig"
	say "version $version: kernel $(size_mb "$work/version/vmlinuz") MB, initrd $(
		size_mb "$work/version/initrd") MB, root $(size_mb "$work/version/${root##*/}") MB, $count packages, $(
		[ -n "$sign" ] && echo "signed" || echo "not signed")"
	printf 'built %s in %s s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" $(($(date +%s) - started)) >>"$log"
	cp "$log" "$work/version/build.log"
	chmod 644 "$work/version"/*
	new=$out/$RECIPE_name/.new
	rm -rf "$new"
	mv "$work/version" "$new"
	sync -f "$new"
	mv -T "$new" "$out/$RECIPE_name/$version"
	rm -f "$cache/failed-$label.log"
	pack_publish "$version"
}

pack_publish() { # VERSION
	[ "$publish" = yes ] || return 0
	ln -sfn "$1" "$out/$RECIPE_name/.current"
	mv -T "$out/$RECIPE_name/.current" "$out/$RECIPE_name/current"
}

# A published version with these inputs gets the signature that it lacks (or has of another key).
pack_sign_current() {
	[ -n "$sign" ] || return 0
	folder=$out/$RECIPE_name/$(readlink "$current")
	pack_sign "$folder/manifest.json" >"$work/manifest.sig"
	cmp -s "$work/manifest.sig" "$folder/manifest.sig" && return 0
	cp "$work/manifest.sig" "$folder/.manifest.sig"
	chmod 644 "$folder/.manifest.sig"
	mv "$folder/.manifest.sig" "$folder/manifest.sig"
	say "version ${folder##*/} is signed now"
}
