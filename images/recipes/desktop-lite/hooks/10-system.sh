#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# hooks/10-system.sh ROOT: what is not a file to copy. The recipe's keys are in the environment as
# RECIPE_key.
# shellcheck disable=SC2154 # RECIPE_key
set -eu
root=$1

echo desktop >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost desktop\n::1\tlocalhost\n' >"$root/etc/hosts"
ln -sf "/usr/share/zoneinfo/$RECIPE_timezone" "$root/etc/localtime"
echo "$RECIPE_timezone" >"$root/etc/timezone"

for name in $RECIPE_locales; do
	chroot "$root" localedef --no-archive -i "${name%.*}" -f "${name#*.}" "/usr/lib/locale/$name"
done
echo "LANG=$RECIPE_language" >"$root/etc/default/locale"

if [ "$RECIPE_sudo" = yes ]; then
	# The groups of a desktop's user have no part in this: whoever is claimed is the user.
	printf 'ALL\tALL=(ALL:ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/carrel"
	chmod 440 "$root/etc/sudoers.d/carrel"
else
	rm -f "$root/usr/bin/sudo" "$root/etc/sudoers.d/carrel"
fi
chroot "$root" usermod -p '!' root

units=$root/etc/systemd/system
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
mkdir -p "$units/sysinit.target.wants" "$units/multi-user.target.wants"
ln -sf ../carrel-agent.service "$units/sysinit.target.wants/carrel-agent.service"
ln -sf /lib/systemd/system/systemd-networkd.service "$units/multi-user.target.wants/systemd-networkd.service"
# a network that never comes must not hold up anything
ln -sf /dev/null "$units/systemd-networkd-wait-online.service"
