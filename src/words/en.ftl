# What labctl says in English. A message keeps its arguments' names in every catalogue; tests hold the catalogues together.

## Pieces that stand in others
month = { $month ->
    [1] Jan
    [2] Feb
    [3] Mar
    [4] Apr
    [5] May
    [6] Jun
    [7] Jul
    [8] Aug
    [9] Sep
    [10] Oct
    [11] Nov
   *[12] Dec
}
your-secret = your secret from mail { $of }
your-text = your text from mail { $of }
your-password = your password
password-of = the password of { $of }
other-domain = another group's domain
octets = { $count } { $count ->
    [one] octet
   *[other] octets
}
bound-less = fewer than { $amount }
bound-at-most = at most { $amount }
bound-equal = { $amount }
bound-at-least = at least { $amount }
bound-more = more than { $amount }
either = { $one } or { $other }
place-inbox = { $mailbox }
place-folder = { $mailbox }, folder { $folder }
which-any = a message
which-own = a message that you sent
which-mail = your mail { $mail }
which-notice = the notice of what became of your message

## Verdicts
own-checks-hold = its own checks hold
do-first = do { $exercises } first
wanted-then = { $wanted } (it counts only after what is asked for before it)
wanted-times = { $wanted } ({ $have } of { $all } so far)
wanted-times-one-connection = { $wanted } ({ $have } of { $all } so far, over one connection)
fault-unmet-ask = you have not met the fault { $fault } yet: ask for it with { $command }
fault-used = the fault { $fault } has struck already: send { $command } again
fault-unmet = you have not met the fault { $fault } yet
cause-damaged = the record is damaged at event { $event }: { $why }
cause-failed = the server failed in connection { $conn } ({ $at }); not your fault: try again
cause-content-lost = the content of message { $message } is lost
note-neither = connection { $conn } ({ $at }) came to { $address }'s address but logged in as { $login }: it counts for neither
note-foreign = message { $message } ({ $at }) came from { $address }'s address in the name of { $sender } (MAIL FROM): it counts for { $address }
began-before-reset = connection { $conn } ({ $at }) began before the reset, so it counts for nothing: open a new one
apart-connection = shown, but not over one connection together with the rest: { $proof }
apart-message = shown, but not of one message together with the rest: { $proof }
apart-time = shown, but not in the time wanted: { $proof }

## Conversations
conversation-wanted = wanted{ $terms }: one { $protocol } connection with { $steps }
term-after-fault = , after the fault { $fault }
term-during-fault = , in the connection with the fault { $fault }
term-clear = , without TLS
term-starttls = , secured by STARTTLS or STLS
term-implicit = , with TLS from the start
term-version = , { $version }
term-auth = , logged in by { $mechanism }
term-auth-as = , as { $mailbox }
term-any-order = , in any order
term-pipelined = , without waiting for replies
step-nothing-else = and nothing else
step-none = no { $step }
step-first = first of all { $step }
step-directly-after = directly after it { $step }
connection-proof = connection { $conn }: { $verbs }
verb-message = message
verb-connect = greeting
verb-quoted = `{ $verb }`
closest-connection = closest: connection { $conn } ({ $at }){ $rest }
attempt-reached = { " " }got as far as { $step }
attempt-still = ; still missing: { $steps }
was-clear = it was in the clear
was-starttls = it was secured by STARTTLS or STLS
was-implicit = it was TLS from the start
was-version = it was { $version }
was-auth = it was logged in by { $mechanism }
was-as = it was logged in as { $mailbox }
was-nobody = nobody had logged in
step-answered = { $step } answered by { $reply }
reply-refused = a refusal ({ $reply })
reply-later = a refusal for now ({ $reply })
reply-accepted = { $reply }
attempt-terms = ; but { $how }
attempt-waited = ; then { $verb } came only after the reply: send them all at once
attempt-forbidden = ; then { $verb } came, which must not come there
attempt-reply = ; then { $verb } was answered { $said }, wanted { $wanted }
attempt-argument = ; then { $verb } came with { $said }, wanted { $wanted }
attempt-next = ; next comes { $step }
attempt-end = ; now end the connection
ended-quit = { " " }(it ended with { $verb })
ended-dropped = { " " }(it was cut without { $verb })
ended-idle = { " " }(it was idle too long)
ended-refused = { " " }(the server ended it)
ended-shutdown = { " " }(the server was shutting down)
ended-instructor = { " " }(the instructor ended it)
ended-fault = { " " }(the server cut it on purpose)
ended-failed = { " " }(the server failed)

## Messages
message-wanted = wanted: a message you send: { $conditions }
message-wanted-any = wanted: a message you send
none-sent = you sent none
message-proof = message { $message } in { $mailboxes }
message-proof-nowhere = message { $message }
wants-mailbox = in mailbox { $mailbox }
wants-from = MAIL FROM { $path }
wants-to = RCPT TO { $path }
wants-header = header { $name }
wants-header-with = header { $name } { $value }
wants-no-header = no header { $name }
wants-lines = { $bound } lines
wants-longest-line = longest line of { $bound }
wants-part = a MIME part { $part }
part-filename = named { $name }
part-encoding = encoded as { $name }
part-sha256 = with SHA-256 { $hash }
wants-body = body { $text }
wants-body-with = body with { $text }
wants-body-line = body with the line { $line }
wants-parts = MIME parts { $parts }
wants-hash = body with SHA-256 { $hash }
wants-text = the whole text given in mail { $mail }
wants-secret = your secret from mail { $mail }
closest-message = closest: message { $message } ({ $at }): { $failings }
fails-mailbox = mailbox { $found }, wanted { $wanted }
fails-from = MAIL FROM { $found }, wanted { $wanted }
fails-to = RCPT TO { $found }, wanted { $wanted }
fails-size = it has { $found } octets, wanted { $wanted }
fails-header = header { $name } { $found }, wanted { $wanted }
fails-header-missing = header { $name } is missing
fails-header-there = header { $name } is there and must not be
fails-lines = its body has { $found } { $found ->
    [one] line
   *[other] lines
}, wanted { $wanted }
fails-longest-line = its longest line has { $found } octets, wanted { $wanted }
fails-body = body { $found }, wanted { $wanted }
fails-body-empty = body, wanted { $wanted }
fails-parts = MIME parts { $found }, wanted { $wanted }
fails-hash = SHA-256 of the body { $found }, wanted { $wanted }
fails-text = the whole text given in mail { $mail } is not in it
fails-text-lines = the whole text given in mail { $mail }: { $have }/{ $all } lines in one piece
fails-secret = your secret from mail { $mail } is not in it

## What is retrieved, deleted and filed
retrieve = wanted: retrieve (RETR) { $what }{ $where }
retrieve-pop3 = wanted: retrieve (RETR) { $what }{ $where } over POP3
retrieve-imap = wanted: fetch whole (BODY[]) { $what }{ $where } over IMAP
delete = wanted: delete (DELE and QUIT) { $what }{ $where }
delete-pop3 = wanted: delete (DELE and QUIT) { $what }{ $where } over POP3
delete-imap = wanted: delete (\Deleted and EXPUNGE) { $what }{ $where } over IMAP
from-mailbox = { " " }from { $mailbox }
in-folder = { " " }in folder { $folder }
retrieved-proof = message { $message } retrieved from { $place }
deleted-proof = message { $message } deleted from { $place }
closest-touched = closest: message { $message } of { $place } ({ $at }) { $why }
misses-protocol = over another protocol
misses-mailbox = is in another mailbox
misses-folder = is in another folder
misses-message = is another one
misses-top = was not read whole: TOP is not RETR
misses-flags = has not the flags wanted
misses-others = is so, but not by your own doing
filed-wanted = wanted: { $what } { $where }{ $flags }, by your own doing
filed-in-folder = in folder { $folder } of { $mailbox }
filed-in-mailbox = in mailbox { $mailbox }
filed-has = , with { $flags }
filed-lacks = , without { $flags }
with-flags = { " " }with { $flags }
filed-proof = message { $message } in { $place }{ $flags }
closest-filed = closest: message { $message } in { $place }{ $flags } { $why }
folder-wanted = wanted: a folder { $folder } in mailbox { $mailbox }
mailbox-wanted = wanted: { $bound } { $count ->
    [one] message
   *[other] messages
} in { $place }
mailbox-proof = messages in { $place }: { $count }
it-holds = it holds { $count }
no-such-folder = there is no such folder

## Names that are asked for, mail for other servers
query-wanted = wanted: a DNS query{ $rest }
query-for = { " " }for { $name }
query-records = { " " }({ $records })
query-answered = , answered { $answer }
query-proof = asked for { $name } ({ $record }): { $answer }
closest-query = closest: asked for { $name } ({ $record }): { $answer } ({ $at })
none-asked = you asked for no name
queued-wanted = wanted: a message you send to another domain{ $rest }
deferred-wanted = wanted: a message you send that has to wait because the other server does not take it yet{ $rest }
relayed-wanted = wanted: a message you send that another server takes{ $rest }
bounced-wanted = wanted: a message you send that cannot be delivered{ $rest }
carried-to = , for { $pattern }
carried-status = , with status { $pattern }
queued-proof = message { $message } for { $recipient } waits for its first try
deferred-proof = message { $message } for { $recipient } has to wait: { $reply }
relayed-proof = message { $message } for { $recipient } was taken by { $server }
bounced-proof = message { $message } for { $recipient } could not be delivered: { $reply }
closest-carried = closest: { $said } ({ $at })
none-for-others = none of your messages is for another server

## Reports
student-head = { $name } ({ $login }, group { $group }): { $points } of { $all } points
session-head = { $session }: { $points } of { $all } points
session-head-complete = { $session }: { $points } of { $all } points, complete
worth = { $points } of { $all } { $count ->
    [one] point
   *[other] points
}
worth-nothing = optional
hint = hint: { $hint }
proven-by = { $proofs } ({ $count ->
    [one] event
   *[other] events
} { $events })
no-students = no students
session = Session { $session }
table-student = student
table-points = points
table-done = done
table-legend = ✓ done   – missing   ½ partly there   ? unclear (not the student's fault)

## What a student's card says
card-send = send
card-read = read
card-folders = folders
card-names = names
card-mailbox = mailbox
card-shared = shared
card-person = { $who }, group { $group }, { $domain }
card-account = { $user }, password { $password }
card-given = { "" }, with the ca.pem you are given
