//! Words for what is done to messages in folders: retrieved, deleted, filed, flagged; and for what folders hold.

use super::{Lang, Words};
use crate::{
    lab::{
        Protocol,
        exercise::{Bound, Filed, Touched, Which},
    },
    mail::folder::{FolderName, NamedFlags},
    marking::{
        marks::{FiledAttempt, FiledMiss, Miss, Place, TouchedAttempt},
        phrases,
    },
    trace::visible,
};

impl Words {
    /// A mailbox, and the folder where it is not INBOX.
    pub(super) fn place(self, place: &Place) -> String {
        if place.folder.is_inbox() {
            format!("`{}`", place.mailbox)
        } else {
            format!("`{}`, {}", place.mailbox, self.folder(&place.folder))
        }
    }

    fn folder(self, folder: &FolderName) -> String {
        format!("{} `{}`", self.lang.pick("folder", "carpeta"), visible(folder.as_str()))
    }

    pub(super) const fn to_retrieve(self, via: Option<Protocol>) -> &'static str {
        match via {
            Some(Protocol::Imap) => self.lang.pick("wanted: fetch whole (BODY[])", "falta: leer entero (BODY[])"),
            Some(Protocol::Smtp | Protocol::Pop3 | Protocol::Dns) | None => {
                self.lang.pick("wanted: retrieve (RETR)", "falta: leer (RETR)")
            }
        }
    }

    pub(super) const fn to_delete(self, via: Option<Protocol>) -> &'static str {
        match via {
            Some(Protocol::Imap) => {
                self.lang.pick("wanted: delete (\\Deleted and EXPUNGE)", "falta: borrar (\\Deleted y EXPUNGE)")
            }
            Some(Protocol::Smtp | Protocol::Pop3 | Protocol::Dns) | None => {
                self.lang.pick("wanted: delete (DELE and QUIT)", "falta: borrar (DELE y QUIT)")
            }
        }
    }

    fn which(self, which: &Which) -> String {
        match which {
            Which::Any => self.lang.pick("a message", "un mensaje").to_owned(),
            Which::Own => self.lang.pick("a message that you sent", "un mensaje enviado por ti").to_owned(),
            Which::Injected(mail) => format!("{} `{mail}`", self.lang.pick("your mail", "tu correo")),
        }
    }

    pub(super) fn touched(self, touched: &Touched) -> String {
        let from = touched.mailbox.as_ref().map(|mailbox| format!("{} `{mailbox}`", self.lang.pick("from", "de")));
        let folder = touched.folder.as_ref().map(|folder| match self.lang {
            Lang::English => format!("in {}", self.folder(folder)),
            Lang::Spanish => format!("en la {}", self.folder(folder)),
        });
        let over =
            touched.via.map(|via| format!("{} {}", self.lang.pick("over", "por"), via.as_str().to_ascii_uppercase()));
        let all = [Some(self.which(&touched.what)), from, folder, over];
        all.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn touched_attempt(self, attempt: &TouchedAttempt) -> String {
        let (english, spanish) = match attempt.miss {
            Miss::Protocol => ("over another protocol", "por otro protocolo"),
            Miss::Mailbox => ("is in another mailbox", "está en otro buzón"),
            Miss::Folder => ("is in another folder", "está en otra carpeta"),
            Miss::Message => ("is another one", "es otro"),
            Miss::Top => ("was not read whole: TOP is not RETR", "no se leyó entero: TOP no es RETR"),
        };
        let (id, place) = (attempt.message.0, self.place(&attempt.place));
        let (of, why) = (self.lang.pick("of", "de"), self.lang.pick(english, spanish));
        format!("{} {id} {of} {place} ({}) {why}", self.message(), self.time(attempt.at))
    }

    /// What a mailbox check wants.
    pub(super) fn mailbox(self, place: &Place, count: Option<Bound>) -> String {
        let Some(count) = count else {
            let (mailbox, folder) = (&place.mailbox, self.folder(&place.folder));
            return match self.lang {
                Lang::English => format!("wanted: a {folder} in mailbox `{mailbox}`"),
                Lang::Spanish => format!("falta: una {folder} en el buzón `{mailbox}`"),
            };
        };
        let (one, count, place) = (count.value == 1, phrases::bound(count, false, self.lang), self.place(place));
        match self.lang {
            Lang::English => format!("wanted: {count} message{} in {place}", if one { "" } else { "s" }),
            Lang::Spanish => format!("falta: {count} mensaje{} en {place}", if one { "" } else { "s" }),
        }
    }

    /// What a filed check wants.
    pub(super) fn filed(self, filed: &Filed) -> String {
        let (what, mailbox) = (self.which(&filed.what), &filed.mailbox);
        let at = match (&filed.folder, self.lang) {
            (Some(folder), Lang::English) => format!("in {} of `{mailbox}`", self.folder(folder)),
            (Some(folder), Lang::Spanish) => format!("en la {} de `{mailbox}`", self.folder(folder)),
            (None, Lang::English) => format!("in mailbox `{mailbox}`"),
            (None, Lang::Spanish) => format!("en el buzón `{mailbox}`"),
        };
        let flags = |with: &str, flags: &NamedFlags| {
            let text = flags.text();
            if text.is_empty() { String::new() } else { format!(", {with} `{}`", visible(&text)) }
        };
        let has = flags(self.lang.pick("with", "con"), &filed.has);
        let lacks = flags(self.lang.pick("without", "sin"), &filed.lacks);
        let (wanted, doing) = match self.lang {
            Lang::English => ("wanted", "by your own doing"),
            Lang::Spanish => ("falta", "por obra tuya"),
        };
        format!("{wanted}: {what} {at}{has}{lacks}, {doing}")
    }

    pub(super) fn filed_proof(self, id: u64, place: &Place, flags: &str) -> String {
        let at = format!("{} {}", self.lang.pick("in", "en"), self.place(place));
        format!("{} {id} {at}{}", self.message(), self.with(flags))
    }

    pub(super) fn filed_attempt(self, attempt: &FiledAttempt) -> String {
        let (id, place) = (attempt.message.0, self.place(&attempt.place));
        let (english, spanish) = match attempt.miss {
            FiledMiss::Message => ("is another one", "es otro"),
            FiledMiss::Folder => ("is in another folder", "está en otra carpeta"),
            FiledMiss::Flags => ("has not the flags wanted", "no tiene las marcas pedidas"),
            FiledMiss::Others => ("is so, but not by your own doing", "está así, pero no por obra tuya"),
        };
        let (at, why) = (self.lang.pick("in", "en"), self.lang.pick(english, spanish));
        format!("{} {id} {at} {place}{} {why}", self.message(), self.with(&attempt.flags))
    }

    /// The flags of a message, as far as checks name them.
    fn with(self, flags: &str) -> String {
        let with = || format!(" {} `{}`", self.lang.pick("with", "con"), visible(flags));
        if flags.is_empty() { String::new() } else { with() }
    }
}
