#!/usr/bin/env bash
# Installs what the tests need beside a Rust toolchain: Debian's packages, as root. What is there already is left alone.
set -euo pipefail

declare -A packages=([openssl]=openssl [msmtp]=msmtp [mpop]=mpop [fetchmail]=fetchmail [getmail]=getmail6 [mbsync]=isync [neomutt]=neomutt [nmap]=nmap [testssl]=testssl.sh [dig]=bind9-dnsutils [swaks]=swaks [gsasl]=gsasl [curl]=curl [busybox]=busybox-static [docker-registry]=docker-registry [gcc]=gcc [cc]=libc6-dev [strace]=strace [python3]=python3 [sqlite3]=sqlite3)
missing=()
for program in "${!packages[@]}"; do
    command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
# swaks speaks TLS with it.
perl -MNet::SSLeay -e 1 2>/dev/null || missing+=(libnet-ssleay-perl)
# IMAP is compared with Dovecot; its daemon is started by the tests alone.
[ -x /usr/lib/dovecot/imap ] || missing+=(dovecot-core dovecot-imapd)
# Postfix asks a question and starts a daemon when it is installed; the benchmark's script prevents both.
peers=$(dirname "$0")/bench/peers.sh
[ -x /usr/sbin/postfix ] && peers=
[ ${#missing[@]} -eq 0 ] && [ -z "$peers" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "the tests need: ${missing[*]-} ${peers:+postfix} (install them, or run this as root)" >&2
    exit 1
fi
[ -z "$peers" ] || "$peers" install
[ ${#missing[@]} -eq 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
# Debian asks policy-rc.d whether a fresh daemon may start: not here.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
