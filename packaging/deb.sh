#!/usr/bin/env bash
# deb.sh PROGRAM TARGET FOLDER: puts the program and a Debian package of it into FOLDER. Completions and manual pages come from
# the program itself; where it is another processor's, from one that runs here.
set -euo pipefail
program=$1 target=$2 folder=$3
cd "$(dirname "$0")/.."

declare -A architectures=([x86_64]=amd64 [aarch64]=arm64 [armv7]=armhf [riscv64gc]=riscv64)
architecture=${architectures[${target%%-*}]-}
if [ -z "$architecture" ]; then
    echo "deb.sh: no Debian architecture is known for target $target" >&2
    exit 1
fi

own=$program
if ! "$own" --version >/dev/null 2>&1; then
    cargo build --quiet --locked
    own=target/debug/labctl
fi
version=$("$own" --version | cut -d' ' -f2)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
doc=$root/usr/share/doc/labctl
install -D -m 755 "$program" "$root/usr/bin/labctl"
"$own" man "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
for shell in bash:bash-completion/completions/labctl zsh:zsh/vendor-completions/_labctl fish:fish/vendor_completions.d/labctl.fish; do
    script=$root/usr/share/${shell#*:}
    mkdir -p "$(dirname "$script")"
    "$own" completions "${shell%%:*}" >"$script"
done
install -D -m 644 LICENSE "$doc/copyright"
install -D -m 644 -t "$doc" README.md docs/*.md
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
install -D -m 644 -t "$doc/examples/practica2" labs/practica2/*

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: labctl
Version: $version
Architecture: $architecture
Maintainer: labctl <labctl@localhost>
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Recommends: docker.io
Suggests: mmdebstrap
Section: education
Priority: optional
Description: a lab for e-mail protocols
 Mail servers for a class, in containers or in one process, and marks from
 what went over the wire: SMTP, POP3, IMAP and DNS, with evidence.
CONTROL

mkdir -p "$folder"
cp "$program" "$folder/labctl"
dpkg-deb --root-owner-group --build "$root" "$folder/labctl_${version}_$architecture.deb"
