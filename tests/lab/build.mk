# SPDX-License-Identifier: GPL-2.0-or-later
# Images as the lab and the demo use them, with the lab's own CA (build/pki): a PC knows the broker by
# the CA's certificate in its image. Each is built again only when its inputs changed.
LAB_PKI := build/pki
LAB_IMAGES := build/images
LAB_CACHE := build/cache

# The demo: a diskless PC is powered on, and a login lands on a desktop. ONCE=1 stops it at the end.
demo:
	scripts/demo $(if $(ONCE),--once)

images: all
	scripts/carrel-pki --dir $(LAB_PKI) --group nogroup init --address 10.77.0.1
	set -e; for recipe in client desktop-lite; do images/build/carrel-image-build --out $(LAB_IMAGES) \
		--cache $(LAB_CACHE) --recipe $$recipe --ca $(LAB_PKI)/ca.crt \
		--sign $(LAB_PKI)/image-signing.key; done

.PHONY: demo images
