#!/bin/sh
# Builds the base of the client image from Debian's packages and imports it into the Engine, for machines where no image can
# be pulled. As root, with mmdebstrap (apt-get install mmdebstrap). What is there already is left alone.
#
#   images/base.sh [IMAGE]      default: labctl-base
set -eu
image=${1:-labctl-base}
suite=${SUITE:-bookworm}

# What a mail practical uses: to talk by hand, to write a client in C, to send and read mail, to edit, to look things up.
packages=telnet,netcat-openbsd,openssl,curl,swaks,s-nail,bind9-dnsutils
packages=$packages,gcc,libc6-dev,make,gdb,nano,vim-tiny,less,procps,man-db,manpages,manpages-dev

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "image \`$image\` is there already (docker rmi $image to build it again)" >&2
    exit 0
fi
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed: apt-get install mmdebstrap" >&2; exit 1; }

# Debian's own sources as this machine has them, so that a mirror or a proxy that works here is used.
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
    "$suite" -  | docker import \
    --change 'LABEL labctl.image=base' --change 'CMD ["/bin/sh"]' - "$image" >/dev/null
echo "image \`$image\` is built" >&2
