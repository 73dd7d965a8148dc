#!/bin/sh
# Writes the file system that the students' containers are built on to standard output, as an archive of Debian's packages,
# for machines where no image can be pulled: with mmdebstrap (apt-get install mmdebstrap), as root or where the user has
# subordinate ids (/etc/subuid, /etc/subgid, the package uidmap). `labctl images build` runs it and imports what it says; by hand it is
#
#   images/base.sh | docker import --change 'CMD ["/bin/sh"]' - my-base && labctl up --base my-base
set -eu
suite=${SUITE:-bookworm}

# What a mail practical uses: to talk by hand, to write a client in C, to send and read mail, to look at
# programs and the network, to edit, to look things up.
packages=telnet,netcat-openbsd,openssl,ca-certificates,curl,swaks,libnet-ssleay-perl,s-nail,bind9-dnsutils
packages=$packages,gcc,libc6-dev,make,gdb,strace,iproute2,iputils-ping,xxd,python3,w3m
packages=$packages,nano,vim,less,procps,man-db,manpages,manpages-dev

command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed: apt-get install mmdebstrap" >&2; exit 1; }
exec mmdebstrap --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
    "$suite" -
