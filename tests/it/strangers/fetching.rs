//! Programs that fetch mail: mpop, fetchmail, getmail.

use super::host::Host;

fn with_mail() -> Host {
    let host = Host::up();
    host.mail("ana", "first", ".a dot first");
    host.mail("ana", "second", "text");
    host
}

fn both_came(mail: &str) {
    for line in ["Subject: first", "\n.a dot first", "Subject: second"] {
        assert!(mail.contains(line), "{line:?} is missing in\n{mail}");
    }
}

#[test]
fn mpop_downloads_and_deletes_over_stls_and_tls() {
    for (service, starttls) in [("pop3", "on"), ("pop3s", "off")] {
        let host = with_mail();
        let rc = format!(
            "account default\nhost {{{service}.host}}\nport {{{service}.port}}\nuser ana\npassword Secreta1\ntls on\n\
             tls_starttls {starttls}\ntls_trust_file {{ca}}\ndelivery mbox {{dir}}/mbox\nuidls_file {{dir}}/uidls\nkeep off\n"
        );
        host.write("mpoprc", &rc);
        host.run("mpop -C {dir}/mpoprc -q", "");
        both_came(&host.read("mbox"));
        assert_eq!(host.events("deleted").len(), 2);
    }
}

#[test]
fn fetchmail_reads_by_pop3_and_imap_over_tls() {
    for (protocol, service) in [("pop3", "pop3s"), ("imap", "imaps")] {
        let host = with_mail();
        let rc = format!(
            "poll {{{service}.host}} proto {protocol} service {{{service}.port}} user ana password Secreta1 ssl sslcertck \
             sslcommonname mail.lib.simulacion sslcertfile {{ca}} mda \"cat >> {{dir}}/mbox\" fetchall no keep\n"
        );
        host.write("fetchmailrc", &rc);
        host.run("fetchmail -f {dir}/fetchmailrc --nodetach --nosyslog --pidfile {dir}/pid --idfile {dir}/ids", "");
        both_came(&host.read("mbox"));
        assert_eq!(host.events("deleted").len(), 2, "{protocol}");
    }
}

#[test]
fn getmail_reads_by_pop3_and_imap_over_tls() {
    for (retriever, service, extra) in
        [("SimplePOP3SSLRetriever", "pop3s", ""), ("SimpleIMAPSSLRetriever", "imaps", "mailboxes = (\"INBOX\",)\n")]
    {
        let host = with_mail();
        host.run("mkdir -p {dir}/getmail", "");
        // It delivers into nobody's folder as root, but hands mail to a program.
        let rc = format!(
            "[retriever]\ntype = {retriever}\nserver = {{{service}.host}}\nport = {{{service}.port}}\nusername = ana\n\
             password = Secreta1\nca_certs = {{ca}}\n{extra}[destination]\ntype = MDA_external\npath = /usr/bin/tee\n\
             arguments = (\"-a\", \"{{dir}}/mbox\")\nallow_root_commands = true\n[options]\ndelete = true\n"
        );
        host.write("getmail/getmailrc", &rc);
        host.run("getmail --getmaildir {dir}/getmail --rcfile getmailrc", "");
        both_came(&host.read("mbox"));
        assert_eq!(host.events("deleted").len(), 2, "{retriever}");
    }
}
