# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The file tree "$work/tree". What the packages alone make is kept in the cache, so that a change of
# the recipe's own files takes seconds.

tree_build() {
	tree_base
	tree_overlay
	tree_hooks '[0-4]'
	lines "$recipe/mask" | while read -r what name; do
		tree_mask "$what" "$name"
	done
	lines "$recipe/trim" | while read -r pattern; do
		# shellcheck disable=SC2086 # a pattern
		rm -rf "$work/tree"$pattern
	done
	tree_anonymous
	tree_hooks '[5-9]'
	say "tree: $(du -sm "$work/tree" | cut -f1) MB"
}

# Hooks that begin with 0 to 4 run before, the others after files are left out.
tree_hooks() {
	# shellcheck disable=SC2231 # a pattern
	for hook in "$recipe"/hooks/$1*.sh; do
		[ -x "$hook" ] || continue
		"$hook" "$work/tree" >"$work/hook.log" 2>&1 ||
			die "hook $(basename "$hook") failed: $(tail -n 5 "$work/hook.log")"
	done
}

tree_base() {
	key=$({
		grep -v "/${kernel_package}_" "$work/lock" | cut -d' ' -f1,3
		lines "$recipe/packages"
		sed -n '/^tree_base/,/^}/p' "$lib/tree.sh"
	} | sha256sum | cut -c1-24)
	base=$cache/base-$RECIPE_name-$key.tar
	if [ ! -e "$base" ]; then
		say "tree: installing packages"
		rm -f "$cache/base-$RECIPE_name-"*.tar
		packages_repository
		# shellcheck disable=SC2046,SC2086 # lists
		mmdebstrap --mode=root --variant=essential --format=tar --quiet \
			--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
			--aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
			--aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
			--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
			--dpkgopt='path-include=/usr/share/locale/locale.alias' \
			--dpkgopt='path-include=/usr/share/locale/ko/*' \
			--include="usr-is-merged,$(echo $names | tr ' ' ',')" \
			"$RECIPE_suite" "$base.part" "deb [trusted=yes] copy:$repository $RECIPE_suite main" \
			>"$work/mmdebstrap.log" 2>&1 ||
			die "packages cannot be installed: $(grep '^E:' "$work/mmdebstrap.log" | cut -c1-400 | tail -n 3)"
		mv "$base.part" "$base"
	fi
	mkdir "$work/tree"
	tar -x -p --xattrs --xattrs-include='*' -C "$work/tree" -f "$base"
}

tree_overlay() {
	cp -R --no-preserve=ownership,timestamps "$recipe/overlay/." "$work/tree/"
	install -D -m 755 "$agent" "$work/tree/usr/libexec/carrel/carrel-agent"
	install -m 755 "${agent%/*}/carrel-waitscreen" "${agent%/*}/carrel-ximwait" "$work/tree/usr/libexec/carrel/"
	# the modules of the initramfs are loaded by then; their list answers modprobe's questions
	modules=$work/tree/usr/lib/modules/$kernel_release
	mkdir -p "$modules"
	cp "$kernel_dir/lib/modules/$kernel_release"/modules.builtin* "$kernel_dir/lib/modules/$kernel_release/modules.order" "$modules/"
	depmod -b "$work/tree" "$kernel_release"
}

# One line of the recipe's mask file.
tree_mask() {
	case $1 in
	unit) ln -sf /dev/null "$work/tree/etc/systemd/system/$2" ;;
	udev) ln -sf /dev/null "$work/tree/etc/udev/rules.d/$2" ;;
	generators)
		mkdir -p "$work/tree/etc/systemd/system-generators"
		for g in "$work/tree"/usr/lib/systemd/system-generators/*; do
			ln -sf /dev/null "$work/tree/etc/systemd/system-generators/${g##*/}"
		done
		;;
	*) die "$recipe/mask: \"$1\" is not known; allowed: unit, udev, generators" ;;
	esac
}

# No identity of its own, nothing that says when or where it was built.
tree_anonymous() {
	: >"$work/tree/etc/machine-id"
	rm -f "$work/tree/var/lib/dbus/machine-id" "$work/tree/etc/resolv.conf" "$work/tree/etc/mtab"
	ln -s /proc/self/mounts "$work/tree/etc/mtab"
	: >"$work/tree/etc/resolv.conf"
	: >"$work/tree/etc/fstab"
	touch "$work/tree/etc/.updated" "$work/tree/var/.updated"
}
