//! Programs that send: swaks, msmtp, curl, Python's smtplib.

use super::host::Host;

const MESSAGE: &str = "From: ana@lib.simulacion\nTo: user2@lib.simulacion\nSubject: hola\n\n.a dot first\ntext\n";

#[test]
fn swaks_sends_every_way_and_with_every_mechanism() {
    let host = Host::up();
    let swaks = "swaks --from ana@lib.simulacion --to user2@lib.simulacion --helo me --timeout 20";
    let plain = "--server {smtp.host} --port {smtp.port}";
    let mut ways = vec![
        plain.to_owned(),
        format!("{plain} --pipeline"),
        format!("{plain} --tls --tls-verify --tls-ca-path {{ca}}"),
    ];
    ways.push("--server {submissions.host} --port {submissions.port} --tls-on-connect --auth PLAIN --auth-user ana --auth-password Secreta1".into());
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"] {
        ways.push(format!(
            "--server {{submission.host}} --port {{submission.port}} --tls --auth {mechanism} --auth-user ana --auth-password Secreta1"
        ));
    }
    for way in &ways {
        let said = host.run(&format!("{swaks} {way}"), "");
        assert!(said.contains("221 "), "{way}: {said}");
    }
    assert_eq!(host.events("accepted").len(), ways.len());
    let refused = host.ran(
        &format!("{swaks} --server {{submission.host}} --port {{submission.port}} --tls --auth PLAIN --auth-user ana --auth-password wrong"),
        "",
    );
    assert!(!refused.status.success());
    assert_eq!(host.events("accepted").len(), ways.len());
}

#[test]
fn msmtp_sends_over_starttls_and_tls() {
    let host = Host::up();
    let account = "auth MECHANISM\nuser ana\npassword Secreta1\nfrom ana@lib.simulacion\ntls on\ntls_trust_file {ca}\n";
    for (mechanism, service, starttls) in [
        ("plain", "submission", "on"),
        ("scram-sha-256", "submission", "on"),
        ("cram-md5", "submissions", "off"),
        ("login", "submissions", "off"),
    ] {
        let place =
            format!("account default\nhost {{{service}.host}}\nport {{{service}.port}}\ntls_starttls {starttls}\n");
        host.write("msmtprc", &(place + &account.replace("MECHANISM", mechanism)));
        host.run("msmtp -C {dir}/msmtprc user2@lib.simulacion", MESSAGE);
    }
    let accepted = host.events("accepted");
    assert_eq!(accepted.len(), 4);
    assert!(accepted.iter().all(|event| event["who"]["login"] == "ana"), "{accepted:?}");
    let mechanisms: Vec<_> = host.events("logged_in").iter().map(|event| event["mechanism"].clone()).collect();
    assert_eq!(mechanisms, ["PLAIN", "SCRAM-SHA-256", "CRAM-MD5", "LOGIN"]);
}

#[test]
fn a_client_that_verifies_refuses_an_authority_it_does_not_know() {
    let host = Host::up();
    host.write(
        "msmtprc",
        "account default\nhost {submissions.host}\nport {submissions.port}\nfrom ana@lib.simulacion\ntls on\ntls_starttls off\n\
         tls_trust_file /etc/ssl/certs/ca-certificates.crt\n",
    );
    assert!(!host.ran("msmtp -C {dir}/msmtprc user2@lib.simulacion", MESSAGE).status.success());
    assert!(host.events("accepted").is_empty());
}
