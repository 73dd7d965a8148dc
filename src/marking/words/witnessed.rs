//! Queries and mail for other servers in words.

use super::{Lang, Words};
use crate::{
    evidence::MessageId,
    lab::witness::{Answer, Fate},
    marking::{
        marks::{Carriage, CarriedAttempt, QueryAttempt, Wanted, WantedCarried, WantedQuery},
        phrases,
    },
    trace::visible,
};

impl Words {
    pub(super) fn wanted_query(self, wanted: &WantedQuery) -> String {
        let of = self.lang.pick(" for ", " de ");
        let name = wanted.name.as_ref().map(|name| format!("{of}{}", phrases::quoted(name, self.lang)));
        let records = wanted.records.join(self.lang.pick(" or ", " o "));
        let records = if records.is_empty() { records } else { format!(" ({records})") };
        let answer = match wanted.answer {
            Answer::NoError => String::new(),
            Answer::NoData | Answer::NxDomain | Answer::Refused => {
                format!("{} {}", self.lang.pick(", answered", ", con respuesta"), wanted.answer.as_str())
            }
        };
        let what = self.lang.pick("wanted: a DNS query", "falta: una consulta DNS");
        format!("{what}{}{records}{answer}", name.unwrap_or_default())
    }

    pub(super) fn wanted_carried(self, wanted: &WantedCarried) -> String {
        let (english, spanish) = match wanted.fate {
            Fate::Queued => {
                ("wanted: a message you send to another domain", "falta: un mensaje que envíes a otro dominio")
            }
            Fate::Deferred => (
                "wanted: a message you send that has to wait because the other server does not take it yet",
                "falta: un mensaje que envíes y que tenga que esperar porque el otro servidor aún no lo acepta",
            ),
            Fate::Relayed => (
                "wanted: a message you send that another server takes",
                "falta: un mensaje que envíes y que acepte otro servidor",
            ),
            Fate::Bounced => (
                "wanted: a message you send that cannot be delivered",
                "falta: un mensaje que envíes y que no se pueda entregar",
            ),
        };
        let with = |(english, spanish): (&str, &str), pattern: &Option<String>| {
            let said =
                |pattern| format!(", {} {}", self.lang.pick(english, spanish), phrases::quoted(pattern, self.lang));
            pattern.as_deref().map(said).unwrap_or_default()
        };
        let to = with(("for", "para"), &wanted.to);
        let status = with(("with status", "con estado"), &wanted.status);
        format!("{}{to}{status}", self.lang.pick(english, spanish))
    }

    /// A name that was asked for, with its answer.
    pub(super) fn asked(self, name: &str, record: &str, answer: &str) -> String {
        let (name, record) = (visible(name), visible(record));
        format!("{} `{name}` ({record}): {answer}", self.lang.pick("asked for", "preguntaste por"))
    }

    pub(super) fn query_attempt(self, attempt: &QueryAttempt) -> String {
        format!("{} ({})", self.asked(&attempt.name, &attempt.record, &attempt.answer), self.time(attempt.at))
    }

    /// What became of a message.
    pub(super) fn carriage(self, message: MessageId, carriage: &Carriage) -> String {
        let Carriage { fate, recipient, server, reply } = carriage;
        let [recipient, server, reply] = [recipient, server, reply].map(|text| visible(text));
        let what = match (fate, self.lang) {
            (Fate::Queued, Lang::English) => "waits for its first try".to_owned(),
            (Fate::Queued, Lang::Spanish) => "espera su primer intento".to_owned(),
            (Fate::Deferred, Lang::English) => format!("has to wait: `{reply}`"),
            (Fate::Deferred, Lang::Spanish) => format!("tiene que esperar: `{reply}`"),
            (Fate::Relayed, Lang::English) => format!("was taken by `{server}`"),
            (Fate::Relayed, Lang::Spanish) => format!("lo aceptó `{server}`"),
            (Fate::Bounced, Lang::English) => format!("could not be delivered: `{reply}`"),
            (Fate::Bounced, Lang::Spanish) => format!("no se pudo entregar: `{reply}`"),
        };
        let to = self.lang.pick("for", "para");
        format!("{} {} {to} `{recipient}` {what}", self.message(), message.0)
    }

    pub(super) fn carried_attempt(self, attempt: &CarriedAttempt) -> String {
        format!("{} ({})", self.carriage(attempt.message, &attempt.carriage), self.time(attempt.at))
    }

    /// What to say where nothing of the kind was ever tried.
    pub(super) fn none_of(self, wanted: &Wanted) -> Option<&'static str> {
        let (english, spanish) = match wanted {
            Wanted::Message(..) => ("you sent none", "no has enviado ninguno"),
            Wanted::Query(_) => ("you asked for no name", "no has preguntado por ningún nombre"),
            Wanted::Carried(_) => {
                ("none of your messages is for another server", "ningún mensaje tuyo es para otro servidor")
            }
            Wanted::Conversation(_)
            | Wanted::Filed(_)
            | Wanted::Retrieved(_)
            | Wanted::Deleted(_)
            | Wanted::Mailbox(..) => return None,
        };
        Some(self.lang.pick(english, spanish))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANISH: Words = Words { lang: Lang::Spanish, utc_offset_secs: 0 };

    #[test]
    fn what_is_wanted_is_said_with_its_conditions_and_no_more() {
        let query = |name: Option<&str>, records: &[&str], answer| {
            let records = records.iter().map(|record| (*record).to_owned()).collect();
            SPANISH.wanted_query(&WantedQuery { name: name.map(str::to_owned), records, answer })
        };
        assert_eq!(query(None, &[], Answer::NoError), "falta: una consulta DNS");
        assert_eq!(
            query(Some("mail.g1.lab"), &["A", "AAAA"], Answer::NxDomain),
            "falta: una consulta DNS de `mail.g1.lab` (A o AAAA), con respuesta NXDOMAIN"
        );
        let carried = |fate, to: Option<&str>, status: Option<&str>| {
            let [to, status] = [to, status].map(|pattern| pattern.map(str::to_owned));
            SPANISH.wanted_carried(&WantedCarried { fate, to, status })
        };
        assert_eq!(carried(Fate::Relayed, None, None), "falta: un mensaje que envíes y que acepte otro servidor");
        assert_eq!(
            carried(Fate::Bounced, Some("*@g2.lab"), Some("5.1.1")),
            "falta: un mensaje que envíes y que no se pueda entregar, para `*@g2.lab`, con estado `5.1.1`"
        );
    }

    #[test]
    fn what_other_servers_say_is_made_visible() {
        let carriage = |fate| Carriage {
            fate,
            recipient: "ben@g2.lab".into(),
            server: "mail\x07".into(),
            reply: "550 5.1.1 \x1b[2Jno".into(),
        };
        let said = |fate| SPANISH.carriage(MessageId(5), &carriage(fate));
        assert_eq!(said(Fate::Bounced), "mensaje 5 para `ben@g2.lab` no se pudo entregar: `550 5.1.1 \\x1b[2Jno`");
        assert!(!said(Fate::Relayed).contains('\x07'));
    }
}
