//! What a sender wants to be told of a message's delivery, as DSN's parameters of MAIL and RCPT say it (RFC 3461). Values only:
//! SMTP reads them, the queue obeys them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was asked for a message. Without any parameter it is the default: a notice of failure, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// How much of the message comes back with a notice of failure (RET); none: that is ours to choose.
    pub ret: Option<Ret>,
    /// The sender's name for this transaction (ENVID), decoded; a notice repeats it.
    pub envid: Option<String>,
    /// What was asked for each recipient, in the order of [`super::Envelope::recipients`]; one that is missing is the default.
    pub recipients: Vec<Notice>,
}

/// How much of a message comes back (RFC 3461 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header.
    Hdrs,
}

/// What was asked for one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When to tell.
    pub notify: Notify,
    /// The recipient as the sender first had it (ORCPT).
    pub original: Option<Original>,
}

/// When a sender wants to be told (RFC 3461 4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    /// Nothing was said: of failures, and of delays if the server does that.
    #[default]
    Unsaid,
    /// Of nothing.
    Never,
    /// Of these.
    On {
        /// The message was delivered.
        success: bool,
        /// It could not be.
        failure: bool,
        /// It takes longer than usual.
        delay: bool,
    },
}

/// A recipient as the sender first had it (RFC 3461 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The kind of address: `rfc822` or `utf-8` (RFC 6533 4.2.3), or another that is registered.
    pub kind: String,
    /// The address, decoded.
    pub address: String,
}

impl Notices {
    /// Itself, if anything was asked for.
    pub fn unless_default(self) -> Option<Box<Self>> {
        let asked = self.ret.is_some() || self.envid.is_some();
        let asked = asked || self.recipients.iter().any(|notice| *notice != Notice::default());
        asked.then(|| Box::new(self))
    }

    /// What was asked for the recipient at this place of [`super::Envelope::recipients`].
    pub fn of(&self, recipient: usize) -> Notice {
        self.recipients.get(recipient).cloned().unwrap_or_default()
    }
}

impl Notify {
    /// Whether a failure is told.
    pub const fn of_failure(self) -> bool {
        matches!(self, Self::Unsaid | Self::On { failure: true, .. })
    }

    /// Whether a success is told.
    pub const fn of_success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }

    /// Whether a delay is told.
    pub const fn of_delay(self) -> bool {
        matches!(self, Self::Unsaid | Self::On { delay: true, .. })
    }
}

impl Ret {
    /// As MAIL writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Hdrs => "HDRS",
        }
    }
}

impl fmt::Display for Notify {
    /// As RCPT writes it; nothing where nothing was said.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unsaid => Ok(()),
            Self::Never => out.write_str("NEVER"),
            Self::On { success, failure, delay } => {
                let all = [("SUCCESS", success), ("FAILURE", failure), ("DELAY", delay)];
                let said: Vec<&str> = all.into_iter().filter_map(|(word, said)| said.then_some(word)).collect();
                out.write_str(&said.join(","))
            }
        }
    }
}

/// Writes `text` as xtext (RFC 3461 4): what is no printable ASCII, and `+` and `=`, as `+` and two hexadecimal digits.
pub fn xtext(text: &str) -> String {
    use fmt::Write as _;
    let mut written = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_graphic() && octet != b'+' && octet != b'=' {
            written.push(char::from(octet));
        } else {
            let _ = write!(written, "+{octet:02X}");
        }
    }
    written
}

/// Reads xtext; none if it is none, or stands for what is no UTF-8 or holds control characters.
pub fn from_xtext(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => {
                let digit =
                    |octet: Option<u8>| octet.filter(|octet| !octet.is_ascii_lowercase()).map(char::from)?.to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'=' => return None,
            b'!'..=b'~' => octet,
            _ => return None,
        });
    }
    String::from_utf8(octets).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_read_and_written() {
        for (text, written) in [("QQ314159", "QQ314159"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("ñ", "+C3+B1"), ("", "")] {
            assert_eq!((xtext(text).as_str(), from_xtext(written).as_deref()), (written, Some(text)));
        }
        for broken in ["a=b", "a b", "+2", "+", "+2b", "+GG", "ñ", "+FF", "+0D+0A"] {
            assert_eq!(from_xtext(broken), None, "{broken}");
        }
    }

    #[test]
    fn nothing_said_means_failures() {
        assert!(Notify::Unsaid.of_failure() && !Notify::Unsaid.of_success());
        let never = Notify::Never;
        assert!(!(never.of_failure() || never.of_success() || never.of_delay()));
        let success = Notify::On { success: true, failure: false, delay: true };
        assert!(success.of_success() && !success.of_failure() && success.of_delay());
        assert_eq!((never.to_string(), success.to_string()), ("NEVER".into(), "SUCCESS,DELAY".into()));
    }
}
