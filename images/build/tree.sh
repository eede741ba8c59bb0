# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The file tree "$work/tree": what the packages make (layers.sh), and on top what is the recipe's own.

tree_build() {
	layers_tree
	say "tree: overlay, hooks"
	tree_overlay
	tree_programs
	tree_keyboard
	# for the programs that hooks run in it; the mount is the build's own
	mount --rbind /dev "$work/tree/dev"
	tree_hooks '[0-4]'
	recipe_items mask >"$work/mask"
	while read -r what name; do
		tree_mask "$what" "$name"
	done <"$work/mask"
	tree_trim
	tree_anonymous
	tree_hooks '[5-9]'
	tree_session
	umount -l "$work/tree/dev"
	say "tree: $(du -sm "$work/tree" | cut -f1) MB"
}

# The hooks of the bases run first. Those that begin with 0 to 4 run before, the others after files
# are left out.
tree_hooks() {
	while IFS= read -r folder; do
		# shellcheck disable=SC2231 # a pattern
		for hook in "$folder"/hooks/$1*.sh; do
			[ -e "$hook" ] || continue
			printf 'hook %s\n' "$hook" >>"$log"
			"$hook" "$work/tree" >"$work/hook.log" 2>&1 || {
				cat "$work/hook.log" >>"$log"
				die "hook $hook failed: $(tail -n 5 "$work/hook.log")"
			}
			cat "$work/hook.log" >>"$log"
		done
	done <<-END
	$chain
	END
}

tree_trim() {
	recipe_items trim >"$work/trim"
	while read -r pattern; do
		# shellcheck disable=SC2086 # a pattern
		rm -rf "$work/tree"$pattern
	done <"$work/trim"
}

tree_overlay() {
	while IFS= read -r folder; do
		[ ! -d "$folder/overlay" ] ||
			cp -R --no-preserve=ownership,timestamps "$folder/overlay/." "$work/tree/"
	done <<-END
	$chain
	END
}

# What is Carrel's own in a desktop.
tree_programs() {
	mkdir -p "$work/tree/usr/libexec/carrel"
	install -m 755 "$(program carrel-agent)" "$(program carrel-waitscreen)" "$(program carrel-ximwait)" \
		"$work/tree/usr/libexec/carrel/"
	# the modules of the initramfs are loaded by then; their list answers modprobe's questions
	modules=$work/tree/usr/lib/modules/$kernel_release
	mkdir -p "$modules"
	cp "$kernel_dir/lib/modules/$kernel_release"/modules.builtin* "$kernel_dir/lib/modules/$kernel_release/modules.order" "$modules/"
	depmod -b "$work/tree" "$kernel_release"
	echo desktop >"$work/tree/etc/hostname"
	mkdir -p "$work/tree/etc/default"
	printf 'REHEARSE=%s\nDRAWN=%s\n' "$RECIPE_rehearse" "$RECIPE_drawn" >"$work/tree/etc/default/carrel-agent"
}

# The X layout of the recipe's key "keyboard": LAYOUT or LAYOUT(VARIANT).
tree_keyboard() {
	layout=${RECIPE_keyboard%%"("*}
	variant=$(printf '%s' "$RECIPE_keyboard" | sed -n 's/.*(\(.*\))/\1/p')
	if [ -d "$work/tree/usr/share/X11/xkb/symbols" ] && [ ! -f "$work/tree/usr/share/X11/xkb/symbols/$layout" ]; then
		die "${AT_keyboard-}: keyboard is \"$RECIPE_keyboard\"; the image has no X layout $layout"
	fi
	mkdir -p "$work/tree/etc/X11/xorg.conf.d"
	{
		printf 'Section "InputClass"\n\tIdentifier "keyboard"\n\tMatchIsKeyboard "on"\n'
		printf '\tOption "XkbModel" "pc105"\n\tOption "XkbLayout" "%s"\n' "$layout"
		[ -z "$variant" ] || printf '\tOption "XkbVariant" "%s"\n' "$variant"
		printf 'EndSection\n'
	} >"$work/tree/etc/X11/xorg.conf.d/20-carrel-keyboard.conf"
}

# The desktop session: the key is the name of one that a package has (/usr/share/xsessions), or a
# command. /usr/libexec/carrel/session, which the agent runs, ends in it.
tree_session() {
	command=$RECIPE_session
	entry="$work/tree/usr/share/xsessions/$RECIPE_session.desktop"
	case $RECIPE_session in
	*[!A-Za-z0-9._-]*) ;;
	*) [ ! -f "$entry" ] || command=$(sed -n 's/^Exec=//p' "$entry" | head -n 1) ;;
	esac
	program=${command%% *}
	case $program in
	/*) tree_has_program "$program" ;;
	*) tree_has_program "/usr/bin/$program" || tree_has_program "/bin/$program" ;;
	esac || die "$AT_session: session is \"$RECIPE_session\"; the image has neither a session of that name nor a program $program"
	printf '#!/bin/sh\nexec %s\n' "$command" >"$work/tree/usr/libexec/carrel/session-command"
	chmod 755 "$work/tree/usr/libexec/carrel/session-command"
}

# A link's target is a path of the image, not of this machine.
tree_has_program() {
	chroot "$work/tree" /bin/sh -c '[ -x "$0" ]' "$1"
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
