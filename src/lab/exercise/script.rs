//! Reference solutions: what a student's program would send, a connection each. Playing them is `crate::rehearse`.

use crate::lab::Service;

/// One connection of a reference solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The service that it connects to.
    pub service: Service,
    /// What is sent, in order.
    pub lines: Vec<ScriptLine>,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptLine {
    /// `C: …`: what the client sends, without its CRLF; a template.
    Client(String),
    /// `P: …`: the same, sent together with the line after it (pipelined); a template.
    Ahead(String),
    /// `B: …`: the same in base64 (RFC 4648 4), for AUTH; a template.
    Base64(String),
    /// `S: …`: what the reply must start with; a template.
    Server(String),
    /// `X: close`: the client cuts the connection without QUIT.
    Close,
    /// `X: hold`: the connection stays open, as it is, while the scripts after it run.
    Hold,
    /// `X: cut`: the server ends the connection here, without another whole reply.
    Cut,
    /// `X: tls`: the handshake, after STARTTLS or STLS.
    Tls,
    /// `X: silence`: the server says nothing to the last line; then the client gives up.
    Silence,
}

impl Script {
    /// Reads the lines of a script; an error names the line, as a fragment.
    pub fn parse(service: Service, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (who, said) = line.split_at_checked(2).unwrap_or((line, ""));
            let said = said.strip_prefix(' ').unwrap_or(said);
            lines.push(match who {
                "C:" => ScriptLine::Client(said.to_owned()),
                "P:" => ScriptLine::Ahead(said.to_owned()),
                "B:" => ScriptLine::Base64(said.to_owned()),
                "S:" => ScriptLine::Server(said.to_owned()),
                "X:" if said.trim() == "close" => ScriptLine::Close,
                "X:" if said.trim() == "hold" => ScriptLine::Hold,
                "X:" if said.trim() == "cut" => ScriptLine::Cut,
                "X:" if said.trim() == "tls" => ScriptLine::Tls,
                "X:" if said.trim() == "silence" => ScriptLine::Silence,
                _ => {
                    return Err(format!(
                        "line {} of the script: start it with `C: `, `P: `, `B: ` or `S: `, or write `X: close`, `X: hold`, `X: cut`, `X: tls` or `X: silence`",
                        number + 1
                    ));
                }
            });
        }
        if service == Service::Domain {
            questions(&lines)?;
        }
        // A connection that the server refuses has nothing to send.
        let does = |line: &ScriptLine| matches!(line, ScriptLine::Client(_) | ScriptLine::Cut | ScriptLine::Silence);
        if !lines.iter().any(does) {
            return Err("the script sends nothing: write lines that start with `C: `".into());
        }
        let goes_on = |line: Option<&ScriptLine>| matches!(line, Some(ScriptLine::Ahead(_) | ScriptLine::Client(_)));
        let alone = |(place, line): (usize, &ScriptLine)| {
            matches!(line, ScriptLine::Ahead(_)) && !goes_on(lines.get(place + 1))
        };
        if lines.iter().enumerate().any(alone) {
            return Err("what `P: ` sends goes with the line after it: write that with `C: `".into());
        }
        Ok(Self { service, lines })
    }
}

/// A script of DNS asks one question after the other, and that is all.
fn questions(lines: &[ScriptLine]) -> Result<(), String> {
    for line in lines {
        match line {
            ScriptLine::Client(text) if text.split(' ').filter(|word| !word.is_empty()).count() != 2 => {
                return Err(format!("`{text}` is no question: write for example `C: MX {{domain}}`"));
            }
            ScriptLine::Client(_) | ScriptLine::Server(_) => {}
            ScriptLine::Ahead(_)
            | ScriptLine::Base64(_)
            | ScriptLine::Close
            | ScriptLine::Hold
            | ScriptLine::Cut
            | ScriptLine::Tls
            | ScriptLine::Silence => return Err("a script of `domain` has only lines with `C: ` and `S: `".into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_which_line_is_wrong() {
        let script = Script::parse(Service::Smtp, "C: HELO me\n# why\nS: 250\nX: close\n").unwrap();
        assert_eq!(script.lines.len(), 3);
        assert!(Script::parse(Service::Smtp, "C: a\nX: wait").is_err());
        assert!(Script::parse(Service::Smtp, "C: a\nhello").unwrap_err().contains("line 2"));
        assert!(Script::parse(Service::Smtp, "S: 220").is_err());
        let script = Script::parse(Service::Pop3, "C: USER a\nX: hold").unwrap();
        assert_eq!(script.lines[1], ScriptLine::Hold);
        assert_eq!(Script::parse(Service::Domain, "C: MX {domain}\nS: NOERROR").unwrap().lines.len(), 2);
        for bad in ["C: MX", "C: MX a b", "C: MX a\nX: close", "P: MX a\nC: MX b", "S: NOERROR"] {
            assert!(Script::parse(Service::Domain, bad).is_err(), "{bad}");
        }
        let script = Script::parse(Service::Submission, "C: STARTTLS\nX: tls\nB: ana").unwrap();
        assert_eq!(script.lines[1..], [ScriptLine::Tls, ScriptLine::Base64("ana".into())]);
        assert!(Script::parse(Service::Smtp, "P: RSET\nP: NOOP\nC: QUIT").is_ok());
        for alone in ["C: RSET\nP: NOOP", "P: NOOP\nS: 250\nP: NOOP\nC: QUIT"] {
            assert!(Script::parse(Service::Smtp, alone).unwrap_err().contains("line after it"), "{alone}");
        }
    }
}
