//! What can be wrong with a response, in words that help whoever wrote it: AUTH is where students do base64 by hand.

use crate::protocol::line::Noise;

/// Why a response could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is no base64.
    Base64,
    /// An empty line where something has to come.
    Empty,
    /// A NUL in the line.
    Nul,
    /// It would be, but for the last group of four.
    Padding,
    /// What it stands for ends in a line end.
    LineEnd,
    /// An initial response for a mechanism in which the server speaks first.
    Initial,
    /// PLAIN: not three parts.
    Plain,
    /// CRAM-MD5: not a name and a digest.
    Cram,
    /// SCRAM: the client's first message.
    ScramFirst,
    /// SCRAM: channel binding or an extension is asked for.
    ScramBinding,
    /// SCRAM: the client's final message.
    ScramFinal,
    /// SCRAM: the nonce or the header in the final message is not that of the first.
    ScramNonce,
    /// The exchange is over and the response is not empty.
    Superfluous,
    /// XOAUTH2: no user or no token.
    XOAuth2,
    /// OAUTHBEARER: no header or no token.
    OAuthBearer,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 15] = [
        Self::Base64,
        Self::Empty,
        Self::Nul,
        Self::Padding,
        Self::LineEnd,
        Self::Initial,
        Self::Plain,
        Self::Cram,
        Self::ScramFirst,
        Self::ScramBinding,
        Self::ScramFinal,
        Self::ScramNonce,
        Self::Superfluous,
        Self::XOAuth2,
        Self::OAuthBearer,
    ];

    /// What is wrong and what to send instead: a fragment of ASCII that fits into a reply of any protocol.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Base64 => "send the response in base64, as this makes it: printf %s ana | base64",
            Self::Empty => "an empty line came: the line before it had two line ends, its own and the one you added",
            Self::Nul => Noise::Nul.hint(),
            Self::Padding => "no whole base64: it has groups of four letters, the last one filled up with =",
            Self::LineEnd => "the text that you encoded ends in a line end: encode it with printf, not with echo",
            Self::Initial => "the server speaks first: name the mechanism and nothing else, then answer the challenge",
            Self::Plain => "PLAIN wants NUL, name, NUL and password, all of it in base64",
            Self::Cram => "CRAM-MD5 wants the name, a blank and 32 hexadecimal digits, all of it in base64",
            Self::ScramFirst => "SCRAM begins with n,,n=name,r=nonce, all of it in base64",
            Self::ScramBinding => "no channel binding and no extensions here: begin SCRAM with n,,n=name,r=nonce",
            Self::ScramFinal => "SCRAM goes on with c=biws,r=nonce,p=proof, all of it in base64",
            Self::ScramNonce => {
                "SCRAM's final message repeats the header in c= and the whole nonce of the challenge in r="
            }
            Self::Superfluous => "the exchange is over: send an empty line",
            Self::XOAuth2 => {
                "XOAUTH2 wants user=NAME ^A auth=Bearer TOKEN ^A ^A without the blanks, all of it in base64"
            }
            Self::OAuthBearer => "OAUTHBEARER wants n,a=NAME, ^A auth=Bearer TOKEN ^A ^A without the blanks, in base64",
        }
    }
}
