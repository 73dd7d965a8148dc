#!/bin/sh
# The peers of `make bench`: installs them from Debian's packages and writes configurations of their own into a folder.
#   peers.sh install                       once; leaves no daemon running
#   peers.sh postfix DIR PORT              Debian's defaults, on loopback, local delivery to DIR/mail/user2/ (Maildir)
#   peers.sh dovecot DIR PORT tuned|default IMAPPORT   POP3 and IMAP on loopback, Maildirs in DIR/mail/USER, any user, password `password`
# Nothing outside DIR is written, and nothing is started.
set -eu

install() {
    missing=
    command -v /usr/sbin/postfix >/dev/null || missing="$missing postfix"
    test -x /usr/lib/dovecot/pop3 || missing="$missing dovecot-core dovecot-pop3d"
    test -x /usr/lib/dovecot/imap || missing="$missing dovecot-imapd"
    command -v mkfs.ext4 >/dev/null || missing="$missing e2fsprogs"
    test -n "$missing" || return 0
    # Debian asks policy-rc.d whether a fresh daemon may start: not here.
    policy=/usr/sbin/policy-rc.d
    if test ! -e "$policy"; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -qq --no-install-recommends $missing
}

# What Debian's package writes for an `Internet Site`, with places, port and names of our own, and no TLS.
postfix_defaults() {
    dir=$1 port=$2
    mkdir -p "$dir/etc" "$dir/queue/etc" "$dir/data" "$dir/mail"
    chown postfix "$dir/data"
    chown nobody "$dir/mail"
    cp /usr/share/postfix/main.cf.debian "$dir/etc/main.cf"
    cat >>"$dir/etc/main.cf" <<-END
		queue_directory = $dir/queue
		data_directory = $dir/data
		smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
		myhostname = bench.lab
		myorigin = bench.lab
		alias_maps = hash:$dir/etc/aliases
		alias_database = hash:$dir/etc/aliases
		mydestination = bench.lab, localhost.localdomain, localhost
		relayhost =
		mynetworks = 127.0.0.0/8
		mailbox_size_limit = 0
		recipient_delimiter = +
		inet_interfaces = loopback-only
		inet_protocols = ipv4
	END
    sed "s/^smtp  *inet /127.0.0.1:$port inet /" /usr/share/postfix/master.cf.dist >"$dir/etc/master.cf"
    # The alias stands for a user with a home of its own: local(8) delivers to the Maildir either way.
    echo "user2: $dir/mail/user2/" >"$dir/etc/aliases"
    postalias -c "$dir/etc" "hash:$dir/etc/aliases"
    # Debian runs smtpd in a chroot, and its start script copies these there.
    for file in hosts services resolv.conf nsswitch.conf localtime; do
        test ! -e "/etc/$file" || cp -L "/etc/$file" "$dir/queue/etc/"
    done
}

dovecot_common() {
    dir=$1
    mkdir -p "$dir/run" "$dir/mail"
    chown nobody:nogroup "$dir/mail"
    cat <<-END
		base_dir = $dir/run
		log_path = $dir/log
		protocols = pop3 imap
		listen = 127.0.0.1
		ssl = no
		disable_plaintext_auth = no
		mail_location = maildir:$dir/mail/%u
		passdb {
		  driver = passwd-file
		  args = scheme=PLAIN username_format=%u $dir/users
		}
		userdb {
		  driver = static
		  args = uid=nobody gid=nogroup home=$dir/mail/%u
		}
		mail_max_userip_connections = 100000
	END
}

dovecot_listener() {
    cat <<-END
		  inet_listener pop3 {
		    port = $1
		  }
		  inet_listener pop3s {
		    port = 0
		  }
	END
}

dovecot_imap_listener() {
    cat <<-END
		  inet_listener imap {
		    port = $1
		  }
		  inet_listener imaps {
		    port = 0
		  }
	END
}

# One long-lived process for all sessions, and every short cut that Dovecot documents.
dovecot_tuned() {
    cat <<-END
		mail_fsync = never
		maildir_very_dirty_syncs = yes
		pop3_no_flag_updates = yes
		pop3_fast_size_lookups = yes
		auth_cache_size = 1M
		default_client_limit = 5000
		service pop3-login {
		  service_count = 0
		  process_min_avail = 1
		  process_limit = 1
		  client_limit = 3000
		$(dovecot_listener "$1")
		}
		service pop3 {
		  service_count = 0
		  process_min_avail = 1
		  process_limit = 1
		  client_limit = 3000
		}
		service imap-login {
		  service_count = 0
		  process_min_avail = 1
		  process_limit = 1
		  client_limit = 3000
		$(dovecot_imap_listener "$2")
		}
		service imap {
		  service_count = 0
		  process_min_avail = 1
		  process_limit = 1
		  client_limit = 3000
		}
	END
}

# A process per login and per session, as delivered; only the limit on their number is raised.
dovecot_default() {
    cat <<-END
		default_client_limit = 5000
		service pop3-login {
		  process_limit = 3000
		$(dovecot_listener "$1")
		}
		service pop3 {
		  process_limit = 3000
		}
		service imap-login {
		  process_limit = 3000
		$(dovecot_imap_listener "$2")
		}
		service imap {
		  process_limit = 3000
		}
	END
}

dovecot() {
    dir=$1 port=$2 kind=$3 imap=$4
    dovecot_common "$dir" >"$dir/dovecot.conf"
    "dovecot_$kind" "$port" "$imap" >>"$dir/dovecot.conf"
    count=0
    while test "$count" -lt 1200; do
        echo "user$count:password"
        count=$((count + 1))
    done >"$dir/users"
}

case ${1-} in
install) install ;;
postfix) postfix_defaults "$2" "$3" ;;
dovecot) dovecot "$2" "$3" "$4" "$5" ;;
*) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2 ;;
esac
