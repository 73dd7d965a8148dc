//! The exchange from outside: what each mechanism takes and refuses, and what must not tell a known name from an unknown one.

use proptest::prelude::*;

use super::*;
use crate::protocol::fixture::peer;

const NOW: Now = Now { micros: 1_509_706_863_000_000, steady_micros: 0, utc_offset_secs: 3_600 };

/// The challenges of an exchange, decoded, and how it ended.
type Course = (Vec<String>, String);

/// Plays an exchange whose responses (decoded; the first is the initial one) follow from the challenges so far.
fn play(mechanism: Mechanism, response: impl Fn(&[String]) -> String) -> Course {
    let peer = peer("labctl");
    let mut challenges = Vec::new();
    let mut step = Exchange::begin(mechanism, None, &peer, 1, NOW);
    loop {
        let end = match step {
            Step::Challenge(text, exchange) => {
                challenges.push(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap());
                let line = STANDARD.encode(response(&challenges));
                step = exchange.respond(line.as_bytes(), &peer.config);
                continue;
            }
            Step::Proved(login) => format!("proved {login}"),
            Step::Refused { name } => format!("refused {name}"),
            Step::Cancelled => "cancelled".to_owned(),
            Step::Fault(fault) => format!("{fault:?}"),
        };
        return (challenges, end);
    }
}

fn end(mechanism: Mechanism, responses: &[&str]) -> String {
    play(mechanism, |challenges| responses.get(challenges.len() - 1).unwrap_or(&"").to_string()).1
}

/// How an exchange ends that begins with this initial response as it stands on the line.
fn initial(mechanism: Mechanism, line: &str) -> String {
    format!("{:?}", Exchange::begin(mechanism, Some(line.as_bytes()), &peer("labctl"), 1, NOW))
}

#[test]
fn plain_takes_name_and_password() {
    let plain = |text| end(Mechanism::Plain, &[text]);
    for right in
        ["\0ana\0se cret", "ana\0ana\0se cret", "\0ANA\0se cret", "ana@g1.lab\0ana\0se cret", "\0ana@G1.lab\0se cret"]
    {
        assert_eq!(plain(right), "proved ana", "{right:?}");
    }
    for wrong in ["\0ana\0se", "\0ana\0clave", "\0ana@g2.lab\0se cret", "daniel.morato\0ana\0se cret", "\0ben\0se cret"]
    {
        assert!(plain(wrong).starts_with("refused "), "{wrong:?}");
    }
    for broken in ["", "ana", "ana\0se cret", "\0ana\0se cret\0", "\0\0se cret", "\0ana\0"] {
        assert_eq!(plain(broken), "Plain", "{broken:?}");
    }
}

#[test]
fn login_asks_for_name_and_password() {
    let course = play(Mechanism::Login, |so_far| if so_far.len() == 1 { "ana" } else { "se cret" }.to_owned());
    assert_eq!(course, (vec!["Username:".to_owned(), "Password:".to_owned()], "proved ana".to_owned()));
    assert_eq!([end(Mechanism::Login, &["ana", ""]), end(Mechanism::Login, &[""])], ["Empty", "Empty"]);
}

#[test]
fn cram_md5_is_that_of_rfc_2195() {
    let digest = cram::digest("tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>");
    assert_eq!(digest, "b913a602c7eda7a495b4e6e7334d3890");
    let with = |password: &'static str, upper: bool| {
        play(Mechanism::CramMd5, move |challenges| {
            let digest = cram::digest(password, &challenges[0]);
            format!("ana {}", if upper { digest.to_uppercase() } else { digest })
        })
        .1
    };
    assert_eq!((with("se cret", false), with("se cret", true)), ("proved ana".into(), "proved ana".into()));
    assert_eq!(with("secret", false), "refused ana");
    let digest = "0".repeat(32);
    for broken in [
        "ana",
        &digest,
        &format!(" {digest}"),
        &format!("ana {digest}0"),
        "ana xyz",
        &format!("ana  {}x", &digest[1..]),
    ] {
        assert_eq!(end(Mechanism::CramMd5, &[broken]), "Cram", "{broken:?}");
    }
}

#[test]
fn no_challenge_comes_twice() {
    let other = Peer { seed: 8, ..peer("labctl") };
    let mut seen = std::collections::BTreeSet::new();
    for (peer, attempt, micros) in
        [(&peer("labctl"), 1, 0), (&peer("labctl"), 2, 0), (&peer("labctl"), 1, 1), (&other, 1, 0)]
    {
        let step = Exchange::begin(Mechanism::CramMd5, None, peer, attempt, Now { micros, ..NOW });
        let Step::Challenge(challenge, _) = step else { panic!("{step:?}") };
        assert!(seen.insert(challenge));
    }
}

#[test]
fn tokens_open_a_mailbox_and_a_wrong_one_is_regretted() {
    let xoauth2 = |text: &str| end(Mechanism::XOAuth2, &[text, ""]);
    let bearer = |text: &str| end(Mechanism::OAuthBearer, &[text, "\u{1}"]);
    assert_eq!(xoauth2("user=ana\u{1}auth=Bearer token-of-ana\u{1}\u{1}"), "proved ana");
    assert_eq!(xoauth2("user=ana@g1.lab\u{1}auth=bearer token-of-ana\u{1}\u{1}"), "proved ana");
    assert_eq!(xoauth2("user=ana\u{1}auth=Bearer token-of-daniel\u{1}\u{1}"), "refused ana");
    assert_eq!(bearer("n,a=ana,\u{1}host=h\u{1}port=25\u{1}auth=Bearer token-of-ana\u{1}\u{1}"), "proved ana");
    assert_eq!(bearer("n,,\u{1}auth=Bearer token-of-ana\u{1}\u{1}"), "proved ana");
    assert_eq!(bearer("n,a=ana,\u{1}auth=Bearer x\u{1}\u{1}"), "refused ana");
    assert_eq!(bearer("n,,\u{1}auth=Bearer x\u{1}\u{1}"), "refused ");
    for broken in [
        "",
        "user=ana\u{1}\u{1}",
        "user=\u{1}auth=Bearer x\u{1}\u{1}",
        "user=ana\u{1}auth=Bearer x\u{1}",
        "user=ana\u{1}auth=Bearer \u{1}\u{1}",
    ] {
        assert_eq!(xoauth2(broken), "XOAuth2", "{broken:?}");
    }
    for broken in [
        "",
        "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
        "p=tls,,\u{1}auth=Bearer x\u{1}\u{1}",
        "user=ana\u{1}auth=Bearer x\u{1}\u{1}",
    ] {
        assert_eq!(bearer(broken), "OAuthBearer", "{broken:?}");
    }
    let wrong = "user=ana\u{1}auth=Bearer x\u{1}\u{1}".to_owned();
    let (challenges, _) = play(Mechanism::XOAuth2, |_| wrong.clone());
    assert_eq!(challenges, ["", r#"{"status":"401","schemes":"bearer","scope":"mail"}"#]);
}

#[test]
fn a_refused_token_cannot_be_cancelled_away() {
    let response = STANDARD.encode("user=ana\u{1}auth=Bearer x\u{1}\u{1}");
    let step = Exchange::begin(Mechanism::XOAuth2, Some(response.as_bytes()), &peer("labctl"), 1, NOW);
    let Step::Challenge(_, exchange) = step else { panic!("{step:?}") };
    assert!(matches!(exchange.respond(b"*", &peer("labctl").config), Step::Refused { name } if name == "ana"));
}

#[test]
fn scram_names_what_is_wrong() {
    let first = |text: &str| end(Mechanism::ScramSha256, &[text]);
    for broken in [
        "",
        "n",
        "n,,",
        "n,,n=ana",
        "n,,n=ana,r=",
        "n,,n=,r=x",
        "n,,n=a=b,r=x",
        "n,x,n=ana,r=x",
        "x,,n=ana,r=x",
        "n,,n=ana,r=x y",
    ] {
        assert_eq!(first(broken), "ScramFirst", "{broken:?}");
    }
    for binding in ["p=tls-exporter,,n=ana,r=x", "n,,m=1,n=ana,r=x"] {
        assert_eq!(first(binding), "ScramBinding", "{binding:?}");
    }
    let last = |text: &'static str| {
        play(Mechanism::ScramSha256, move |challenges| match challenges {
            [_] => "n,,n=ana,r=x".to_owned(),
            [_, challenge, ..] => {
                let nonce = challenge.strip_prefix("r=").and_then(|text| text.split(',').next()).unwrap();
                text.replace("NONCE", nonce)
            }
            [] => panic!("a challenge comes first"),
        })
        .1
    };
    for broken in ["", "c=biws", "c=biws,r=NONCE", "c=biws,p=AA==,r=NONCE", "c=!,r=NONCE,p=AA==", "c=biws,r=NONCE,p=!"]
    {
        assert_eq!(last(broken), "ScramFinal", "{broken:?}");
    }
    for other in ["c=biws,r=x,p=AA==", "c=eSws,r=NONCE,p=AA==", "c=biws,r=NONCEx,p=AA=="] {
        assert_eq!(last(other), "ScramNonce", "{other:?}");
    }
    assert_eq!(last("c=biws,r=NONCE,p=AA=="), "refused ana");
}

#[test]
fn a_nonce_is_limited_on_both_sides() {
    let with = |octets: usize| end(Mechanism::ScramSha256, &[&format!("n,,n=ana,r={}", "x".repeat(octets))]);
    assert_eq!((with(scram::NONCE), with(scram::NONCE + 1)), ("ScramFinal".into(), "ScramFirst".into()));
}

#[test]
fn base64_by_hand_is_explained() {
    for (line, fault) in [
        ("ana", "Padding"),
        ("AGFuYQBzZSBjcmV0=", "Padding"),
        ("AGFuYQBzZQ=", "Padding"),
        ("an a", "Base64"),
        ("a!", "Base64"),
        ("\u{0}", "Base64"),
        ("c", "Base64"),
        ("AGFuYQBzZSBjcmV0Cg==", "LineEnd"),
        ("=", "Plain"),
        ("==", "Base64"),
    ] {
        assert_eq!(initial(Mechanism::Plain, line), format!("Fault({fault})"), "{line:?}");
    }
    assert_eq!(initial(Mechanism::CramMd5, "YW5h"), "Fault(Initial)");
    assert_eq!(initial(Mechanism::Plain, "AGFuYQBzZSBjcmV0"), r#"Proved("ana")"#);
}

#[test]
fn a_star_cancels_and_nothing_else_does() {
    for mechanism in Mechanism::ALL {
        let respond = |line: &[u8]| {
            let Step::Challenge(_, exchange) = Exchange::begin(mechanism, None, &peer("labctl"), 1, NOW) else {
                panic!()
            };
            exchange.respond(line, &peer("labctl").config)
        };
        assert!(
            matches!(respond(b"*"), Step::Cancelled) && matches!(respond(b"* \t"), Step::Cancelled),
            "{mechanism:?}"
        );
        assert!(matches!(respond(b"**"), Step::Fault(Fault::Base64)), "{mechanism:?}");
    }
}

#[test]
fn a_name_that_nobody_has_goes_the_same_way() {
    let wrong = |mechanism: Mechanism, name: &str| {
        let course = play(mechanism, |so_far| match (mechanism, so_far) {
            (Mechanism::Plain, _) => format!("\0{name}\0wrong"),
            (Mechanism::Login, [_] | []) => name.to_owned(),
            (Mechanism::Login, _) => "wrong".to_owned(),
            (Mechanism::CramMd5, _) => format!("{name} {}", "0".repeat(32)),
            (Mechanism::ScramSha256, [_]) => format!("n,,n={name},r=x"),
            (Mechanism::ScramSha256, _) => {
                let nonce = so_far[1].strip_prefix("r=").and_then(|text| text.split(',').next()).unwrap();
                format!("c=biws,r={nonce},p={}", STANDARD.encode([0; 32]))
            }
            (Mechanism::XOAuth2, _) => format!("user={name}\u{1}auth=Bearer x\u{1}\u{1}"),
            (Mechanism::OAuthBearer, _) => format!("n,a={name},\u{1}auth=Bearer x\u{1}\u{1}"),
        });
        // Salts differ by name, also between two that are known.
        let shape = |text: &String| text.split(",s=").next().unwrap().to_owned() + &text.len().to_string();
        (course.0.iter().map(shape).collect::<Vec<_>>(), course.1.replace(name, "NAME"))
    };
    for mechanism in Mechanism::ALL {
        let (known, unknown) = (wrong(mechanism, "ana"), wrong(mechanism, "eva"));
        assert_eq!(known, unknown, "{mechanism:?}");
        assert_eq!(known.1, "refused NAME", "{mechanism:?}");
    }
}

#[test]
fn every_hint_fits_into_a_reply() {
    for fault in Fault::ALL {
        let hint = fault.hint();
        assert!(hint.len() <= 100 && hint.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{hint}");
    }
}

proptest! {
    #[test]
    fn no_response_makes_an_exchange_fail_or_last(
        which in 0..Mechanism::ALL.len(),
        responses in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
        encoded in any::<bool>(),
    ) {
        let peer = peer("labctl");
        let mut step = Exchange::begin(Mechanism::ALL[which], None, &peer, 1, NOW);
        let mut challenges = 0;
        for response in responses {
            let Step::Challenge(_, exchange) = step else { break };
            challenges += 1;
            let line = if encoded { STANDARD.encode(&response).into_bytes() } else { response };
            step = exchange.respond(&line, &peer.config);
        }
        prop_assert!(challenges <= 3);
        prop_assert!(!matches!(step, Step::Proved(_)));
    }
}
