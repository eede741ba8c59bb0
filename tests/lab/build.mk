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
	images/client/build --out $(LAB_IMAGES) --cache $(LAB_CACHE) --ca $(LAB_PKI)/ca.crt \
		--viewer $(B)/carrel-viewer --sign $(LAB_PKI)/image-signing.key
	images/build/carrel-image-build --out $(LAB_IMAGES) --cache $(LAB_CACHE) \
		--sign $(LAB_PKI)/image-signing.key

.PHONY: demo images
