//! What a server listens for: the services that IANA named, and the protocol that is spoken on each.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A protocol: what a conversation is in, on whichever service it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 1939.
    Pop3,
    /// RFC 9051 and RFC 3501.
    Imap,
    /// RFC 1035.
    Dns,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 4] = [Self::Smtp, Self::Pop3, Self::Imap, Self::Dns];

    /// Those whose conversations the checks and solutions of a lab speak of.
    pub const CHECKED: [Self; 3] = [Self::Smtp, Self::Pop3, Self::Imap];

    /// As the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
            Self::Imap => "imap",
            Self::Dns => "dns",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or(())
    }
}

/// A service: a protocol on a port with the rules of that port, by its name in IANA's registry (RFC 6335).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Mail from anybody (RFC 5321 4.5.4.2), in the clear until STARTTLS.
    Smtp,
    /// Mail from the users of the server (RFC 6409), in the clear until STARTTLS.
    Submission,
    /// The same over TLS from the first octet (RFC 8314 3.3).
    Submissions,
    /// In the clear until STLS (RFC 2595 4).
    Pop3,
    /// Over TLS from the first octet (RFC 8314 3.1).
    Pop3s,
    /// In the clear until STARTTLS.
    Imap,
    /// Over TLS from the first octet (RFC 8314 3.2).
    Imaps,
    /// Names, over UDP and TCP.
    Domain,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 8] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
        Self::Domain,
    ];

    /// IANA's name, as the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Domain => "domain",
        }
    }

    /// What is spoken there.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Smtp | Self::Submission | Self::Submissions => Protocol::Smtp,
            Self::Pop3 | Self::Pop3s => Protocol::Pop3,
            Self::Imap | Self::Imaps => Protocol::Imap,
            Self::Domain => Protocol::Dns,
        }
    }

    /// Whether TLS comes before anything else (RFC 8314 3).
    pub const fn implicit_tls(self) -> bool {
        match self {
            Self::Submissions | Self::Pop3s | Self::Imaps => true,
            Self::Smtp | Self::Submission | Self::Pop3 | Self::Imap | Self::Domain => false,
        }
    }

    /// The port without a lab's own choice on the embedded engine, where low ports belong to root.
    pub const fn embedded_port(self) -> u16 {
        match self {
            Self::Smtp => 2525,
            Self::Submission => 2587,
            Self::Submissions => 2465,
            Self::Pop3 => 2110,
            Self::Pop3s => 2995,
            Self::Imap => 2143,
            Self::Imaps => 2993,
            Self::Domain => 2053,
        }
    }

    /// The port that IANA registered: where a server has an address of its own.
    pub const fn standard_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Imap => 143,
            Self::Imaps => 993,
            Self::Domain => 53,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Service {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|service| service.as_str() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn services_differ_in_name_and_ports() {
        let count = |each: fn(Service) -> String| Service::ALL.map(each).into_iter().collect::<BTreeSet<_>>().len();
        assert_eq!(count(|service| service.to_string()), Service::ALL.len());
        assert_eq!(count(|service| service.embedded_port().to_string()), Service::ALL.len());
        assert_eq!(count(|service| service.standard_port().to_string()), Service::ALL.len());
        for service in Service::ALL {
            assert_eq!(service.as_str().parse(), Ok(service));
            assert_eq!(serde_json::to_string(&service).unwrap(), format!("\"{service}\""));
        }
        assert!(Service::ALL.is_sorted(), "endpoints and tables have this order");
    }
}
