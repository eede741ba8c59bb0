#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# hooks/90-fonts.sh ROOT: the font cache. It is valid only while the directories keep their times,
# and the image has one time for all files, so they get it before the cache is made.
set -eu
root=$1
find "$root/usr/share/fonts" "$root/usr/share/X11/fonts" -type d \
	-exec touch -d "@$SOURCE_DATE_EPOCH" {} + 2>/dev/null || :
rm -rf "$root/var/cache/fontconfig"/*
chroot "$root" env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" fc-cache -s -f
