# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# A small disk for a test that fills it: a tmpfs of the given size, named by disk, in a mount
# namespace of the test's own.
if [ -z "${OWN_MOUNTS:-}" ]; then
    OWN_MOUNTS=1
    export OWN_MOUNTS
    for fx_how in -m -Urm; do
        unshare $fx_how true 2>/dev/null && exec unshare $fx_how "$0"
    done
fi
. tests/e2e/lib.sh

# make_disk SIZE
make_disk() {
    disk=$TMP/disk
    mkdir "$disk"
    mount -t tmpfs -o "size=$1" none "$disk" 2>"$TMP/mount.err" || skip_all "no tmpfs can be mounted: $(cat "$TMP/mount.err")"
}
