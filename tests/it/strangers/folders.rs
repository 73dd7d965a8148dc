//! Programs that keep mail in folders on the server: mbsync both ways, neomutt, Python's imaplib.

use super::host::Host;

const MBSYNC: &str = "IMAPAccount lab\nHost {imaps.host}\nPort {imaps.port}\nUser ana\nPass Secreta1\nSSLType IMAPS\n\
                      CertificateFile {dir}/server.pem\n\nIMAPStore far\nAccount lab\n\nMaildirStore near\nPath {dir}/mail/\n\
                      Inbox {dir}/mail/INBOX\nSubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\n\
                      Create Both\nExpunge Both\nSyncState *\n";

#[test]
fn mbsync_carries_mail_flags_and_folders_both_ways() {
    let host = Host::up();
    host.mail("ana", "first", "text");
    host.mail("ana", "second", "text");
    host.run("mkdir -p {dir}/mail", "");
    host.write("mbsyncrc", MBSYNC);
    // It compares a certificate's names with the address as it is written, unless it has the certificate itself.
    host.run("openssl s_client -connect {imaps.host}:{imaps.port} -CAfile {ca} -verify_return_error | openssl x509 > {dir}/server.pem", "");
    let sync = || host.run("mbsync -c {dir}/mbsyncrc -a", "");
    sync();
    assert_eq!(host.run("cat {dir}/mail/INBOX/new/* | grep -c '^Subject: '", "").trim(), "2");
    // What the student does here arrives there: a message in a folder of its own, one read, one thrown away.
    host.run("mkdir -p {dir}/mail/Apuntes/cur {dir}/mail/Apuntes/new {dir}/mail/Apuntes/tmp", "");
    host.run("printf 'Subject: mine\\n\\ntext\\n' > {dir}/mail/Apuntes/new/1.mine", "");
    let first = "f=$(grep -l 'Subject: first' {dir}/mail/INBOX/new/*); b=$(basename \"$f\"); mv \"$f\" {dir}/mail/INBOX/cur/${b%%:*}:2,S";
    let second = "f=$(grep -l 'Subject: second' {dir}/mail/INBOX/new/*); b=$(basename \"$f\"); mv \"$f\" {dir}/mail/INBOX/cur/${b%%:*}:2,T";
    host.run(first, "");
    host.run(second, "");
    sync();
    let program = r#"
import imaplib, ssl, sys
imap = imaplib.IMAP4_SSL(sys.argv[1], int(sys.argv[2]), ssl_context=ssl.create_default_context(cafile=sys.argv[3]))
imap.login("ana", "Secreta1")
imap.select("INBOX", readonly=True)
print(imap.search(None, "ALL")[1], imap.search(None, "SEEN", "SUBJECT", "first")[1])
imap.select("Apuntes", readonly=True)
print(imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1])
imap.logout()
"#;
    host.write("look.py", program);
    let seen = host.run("python3 {dir}/look.py {imaps.host} {imaps.port} {ca}", "");
    assert_eq!(seen, "[b'1'] [b'1']\nb'Subject: mine\\r\\n\\r\\n'\n");
    sync();
    assert_eq!(host.run("find {dir}/mail/INBOX -type f -path '*cur*' | wc -l", "").trim(), "1");
}

#[test]
fn neomutt_sends_reads_and_files_mail() {
    let host = Host::up();
    host.mail("ana", "first", "text");
    host.write(
        "muttrc",
        "set from='ana@lib.simulacion' realname='Ana' use_from=yes\nset smtp_url='smtps://ana@{submissions.host}:{submissions.port}'\n\
         set smtp_pass='Secreta1' imap_pass='Secreta1' imap_user='ana'\nset ssl_force_tls=yes ssl_starttls=yes\n\
         set certificate_file='{ca}' ssl_ca_certificates_file='{ca}'\nset copy=no confirmappend=no delete=yes quit=yes \
         mark_old=no move=no\nset folder='imaps://{imaps.host}:{imaps.port}/'\n",
    );
    host.run("neomutt -F {dir}/muttrc -s 'from mutt' user2@lib.simulacion", "Hello\n.dot\n");
    assert_eq!(host.events("accepted").len(), 2);
    // A person at the keys: read the first message, save it to a folder, leave.
    let keys = "push '<display-message><exit><save-message>=Sent<enter><sync-mailbox><quit>'";
    host.write("keys", &format!("{keys}\n"));
    host.run(
        "script -qec \"neomutt -F {dir}/muttrc -e 'source {dir}/keys' -f imaps://{imaps.host}:{imaps.port}/INBOX\" /dev/null",
        "",
    );
    let sent =
        host.run("curl -sS --cacert {ca} -u ana:Secreta1 'imaps://{imaps.host}:{imaps.port}/Sent;MAILINDEX=1'", "");
    assert!(sent.contains("Subject: first"), "{sent}");
    let inbox = host
        .run("curl -sS --cacert {ca} -u ana:Secreta1 'imaps://{imaps.host}:{imaps.port}/INBOX' -X 'SEARCH ALL'", "");
    assert_eq!(inbox.trim(), "* SEARCH");
}
