# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The files of a version. Their names and the manifest are described in docs/protocols.md, "Images
# on disk".

size_mb() {
	echo $((($(stat -c %s "$1") + 500000) / 1000000))
}

# "$work/root.erofs" with its dm-verity tree behind; root_hash, salt and data_blocks are set.
pack_root() {
	root=$work/root.erofs
	mkfs.erofs "-z$RECIPE_compression" -T "$SOURCE_DATE_EPOCH" \
		-U 00000000-0000-0000-0000-000000000001 "$root" "$work/tree" >"$work/erofs.log" 2>&1 ||
		die "the file system cannot be made: $(tail -n 3 "$work/erofs.log")"
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

# FILE: its signature, beside it.
sign_file() {
	"$signer" --key "$sign" "$1" >"$work/sig" || die "$1 cannot be signed"
	chmod 644 "$work/sig"
	mv "$work/sig" "${1%/*}/manifest.sig"
}

# The current version, when its signature is none of this key: what was built unsigned, or before
# the key was changed.
sign_again() {
	beside=$current/manifest.sig
	"$signer" --key "$sign" "$current/manifest.json" >"$work/expected" || die "$current/manifest.json cannot be signed"
	if [ -r "$beside" ] && cmp -s "$work/expected" "$beside"; then
		return
	fi
	say "signing version $(basename "$(readlink "$current")")"
	sign_file "$(readlink -f "$current")/manifest.json"
}

# Puts the version under OUT (a rename makes it appear whole) and publishes it.
pack_version() {
	mkdir "$work/version"
	cp "$kernel_dir/vmlinux" "$work/version/vmlinuz"
	mv "$work/initrd" "$work/version/initrd"
	mv "$root" "$work/version/root.erofs"
	n=1
	day=$(date -u +%Y%m%d)
	while [ -e "$out/$RECIPE_name/$day.$n" ]; do
		n=$((n + 1))
	done
	version=$day.$n
	{
		printf '{"name":"%s","version":"%s","kind":"%s","inputs":"%s",\n' "$RECIPE_name" "$version" \
			"$RECIPE_kind" "$inputs"
		printf ' "files":{%s,\n  %s,\n  %s},\n' "$(manifest_file kernel vmlinuz)" \
			"$(manifest_file initrd initrd)" "$(manifest_file root root.erofs)"
		printf ' "root":{"format":"erofs","data_blocks":%s,"block_size":4096,"root_hash":"%s","salt":"%s"},\n' \
			"$data_blocks" "$root_hash" "$salt"
		printf ' "handoff":"%s","cmdline":"%s carrel.upper=%s"}\n' "$RECIPE_handoff" "$RECIPE_cmdline" "$RECIPE_upper"
	} >"$work/manifest.json"
	chmod 644 "$work/version"/* "$work/manifest.json"
	[ -z "$sign" ] || sign_file "$work/manifest.json"
	mkdir -p "$out/$RECIPE_name"
	rm -rf "$out/$RECIPE_name/.new"
	cp -R "$work/version" "$out/$RECIPE_name/.new"
	cp "$work/manifest.json" "$out/$RECIPE_name/.new/.manifest"
	[ -z "$sign" ] || cp "$work/manifest.sig" "$out/$RECIPE_name/.new/"
	sync -f "$out/$RECIPE_name"
	mv "$out/$RECIPE_name/.new" "$out/$RECIPE_name/$version"
	mv "$out/$RECIPE_name/$version/.manifest" "$out/$RECIPE_name/$version/manifest.json"
	if [ "$publish" = yes ]; then
		ln -sfn "$version" "$out/$RECIPE_name/.current"
		mv -T "$out/$RECIPE_name/.current" "$out/$RECIPE_name/current"
	fi
	say "version $version: kernel $(size_mb "$out/$RECIPE_name/$version/vmlinuz") MB, initrd $(
		size_mb "$out/$RECIPE_name/$version/initrd") MB, root $(
		size_mb "$out/$RECIPE_name/$version/root.erofs") MB"
}
