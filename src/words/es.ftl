# Lo que labctl dice en español. Los argumentos de cada mensaje se llaman igual en todos los catálogos; las pruebas lo comprueban.

## Piezas de otros mensajes
month = { $month ->
    [1] ene
    [2] feb
    [3] mar
    [4] abr
    [5] may
    [6] jun
    [7] jul
    [8] ago
    [9] sep
    [10] oct
    [11] nov
   *[12] dic
}
your-secret = tu secreto del correo { $of }
your-text = tu texto del correo { $of }
your-password = tu contraseña
password-of = la contraseña de { $of }
other-domain = el dominio de otro grupo
octets = { $count } { $count ->
    [one] octeto
   *[other] octetos
}
bound-less = menos de { $amount }
bound-at-most = como mucho { $amount }
bound-equal = { $amount }
bound-at-least = al menos { $amount }
bound-more = más de { $amount }
either = { $one } o { $other }
place-inbox = { $mailbox }
place-folder = { $mailbox }, carpeta { $folder }
which-any = un mensaje
which-own = un mensaje que hayas enviado tú
which-mail = tu correo { $mail }
which-notice = el aviso de lo que pasó con tu mensaje

## Veredictos
own-checks-hold = sus propias comprobaciones ya se cumplen
do-first = haz antes { $exercises }
wanted-then = { $wanted } (solo cuenta después de lo que se pide antes)
wanted-times = { $wanted } (llevas { $have } de { $all })
wanted-times-one-connection = { $wanted } (llevas { $have } de { $all } por una misma conexión)
fault-unmet-ask = aún no te ha tocado el fallo { $fault }: pídelo con { $command }
fault-used = el fallo { $fault } ya ha actuado: envía otra vez { $command }
fault-unmet = aún no te ha tocado el fallo { $fault }
cause-damaged = el registro está dañado en el suceso { $event }: { $why }
cause-failed = el servidor falló en la conexión { $conn } ({ $at }); no es culpa tuya: repítelo
cause-content-lost = se ha perdido el contenido del mensaje { $message }
note-neither = la conexión { $conn } ({ $at }) llegó a la dirección de { $address }, pero entró como { $login }: no cuenta para ninguno de los dos
note-foreign = el mensaje { $message } ({ $at }) llegó de la dirección de { $address } en nombre de { $sender } (MAIL FROM): cuenta para { $address }
began-before-reset = la conexión { $conn } ({ $at }) empezó antes del reinicio y por eso no cuenta: abre otra
apart-connection = hecho, pero no en una misma conexión con lo demás: { $proof }
apart-message = hecho, pero no con un mismo mensaje que lo demás: { $proof }
apart-time = hecho, pero no dentro del tiempo pedido: { $proof }

## Conversaciones
conversation-wanted = falta{ $terms }: una conexión { $protocol } con { $steps }
term-after-fault = , después del fallo { $fault }
term-during-fault = , en la misma conexión del fallo { $fault }
term-clear = , sin TLS
term-starttls = , protegida con STARTTLS o STLS
term-implicit = , con TLS desde el principio
term-version = , { $version }
term-auth = , con identificación { $mechanism }
term-auth-as = , como { $mailbox }
term-any-order = , en cualquier orden
term-pipelined = , sin esperar las respuestas
step-nothing-else = y nada más
step-none = sin { $step }
step-first = lo primero { $step }
step-directly-after = justo después { $step }
connection-proof = conexión { $conn }: { $verbs }
verb-message = mensaje
verb-connect = saludo
verb-quoted = `{ $verb }`
closest-connection = lo que más se acerca: la conexión { $conn } ({ $at }){ $rest }
attempt-reached = { " " }llegó hasta { $step }
attempt-still = ; todavía falta: { $steps }
was-clear = iba sin TLS
was-starttls = iba protegida con STARTTLS o STLS
was-implicit = iba con TLS desde el principio
was-version = iba con { $version }
was-auth = se identificó con { $mechanism }
was-as = se identificó como { $mailbox }
was-nobody = nadie se había identificado
step-answered = { $step } con respuesta { $reply }
reply-refused = un rechazo ({ $reply })
reply-later = un rechazo temporal ({ $reply })
reply-accepted = { $reply }
attempt-terms = ; pero { $how }
attempt-waited = ; entonces { $verb } no llegó hasta después de la respuesta: envíalas todas juntas
attempt-forbidden = ; entonces llegó { $verb }, que ahí no debe llegar
attempt-reply = ; entonces { $verb } recibió { $said } y se esperaba { $wanted }
attempt-argument = ; entonces { $verb } llegó con { $said } y se esperaba { $wanted }
attempt-next = ; ahora toca { $step }
attempt-end = ; ahora cierra la conexión
ended-quit = { " " }(terminó con { $verb })
ended-dropped = { " " }(se cortó sin { $verb })
ended-idle = { " " }(estuvo inactiva demasiado tiempo)
ended-refused = { " " }(la cerró el servidor)
ended-shutdown = { " " }(el servidor se estaba apagando)
ended-instructor = { " " }(la terminó el docente)
ended-fault = { " " }(el servidor la cortó a propósito)
ended-failed = { " " }(falló el servidor)

## Mensajes
message-wanted = falta: un mensaje que envíes: { $conditions }
message-wanted-any = falta: un mensaje que envíes
none-sent = no has enviado ninguno
message-proof = mensaje { $message } en { $mailboxes }
message-proof-nowhere = mensaje { $message }
wants-mailbox = en el buzón { $mailbox }
wants-from = MAIL FROM { $path }
wants-to = RCPT TO { $path }
wants-header = con la cabecera { $name }
wants-header-with = con la cabecera { $name } { $value }
wants-no-header = sin la cabecera { $name }
wants-lines = { $bound } líneas
wants-longest-line = con { $bound } en la línea más larga
wants-part = una parte MIME { $part }
part-filename = con nombre { $name }
part-encoding = codificada en { $name }
part-sha256 = con SHA-256 { $hash }
wants-body = cuerpo { $text }
wants-body-with = cuerpo con { $text }
wants-body-line = cuerpo con la línea { $line }
wants-parts = partes MIME { $parts }
wants-hash = cuerpo con SHA-256 { $hash }
wants-text = el texto completo del correo { $mail }
wants-secret = tu secreto del correo { $mail }
closest-message = lo que más se acerca: el mensaje { $message } ({ $at }): { $failings }
fails-mailbox = llegó al buzón { $found } y se esperaba { $wanted }
fails-from = MAIL FROM { $found } y se esperaba { $wanted }
fails-to = RCPT TO { $found } y se esperaba { $wanted }
fails-size = tiene { $found } octetos y se esperaba { $wanted }
fails-header = la cabecera { $name } es { $found } y se esperaba { $wanted }
fails-header-missing = falta la cabecera { $name }
fails-header-there = sobra la cabecera { $name }
fails-lines = el cuerpo tiene { $found } { $found ->
    [one] línea
   *[other] líneas
} y se esperaba { $wanted }
fails-longest-line = la línea más larga tiene { $found } octetos y se esperaba { $wanted }
fails-body = el cuerpo empieza por { $found } y se esperaba { $wanted }
fails-body-empty = el cuerpo está vacío y se esperaba { $wanted }
fails-parts = partes MIME { $found } y se esperaba { $wanted }
fails-hash = el SHA-256 del cuerpo es { $found } y se esperaba { $wanted }
fails-text = no está el texto completo del correo { $mail }
fails-text-lines = del texto del correo { $mail } hay { $have } de { $all } líneas seguidas
fails-secret = no está tu secreto del correo { $mail }

## Lo que se lee, se borra y se guarda
retrieve = falta: leer (RETR){ $where } { $what }
retrieve-pop3 = falta: leer por POP3 (RETR){ $where } { $what }
retrieve-imap = falta: leer entero por IMAP (BODY[]){ $where } { $what }
delete = falta: borrar (DELE y QUIT){ $where } { $what }
delete-pop3 = falta: borrar por POP3 (DELE y QUIT){ $where } { $what }
delete-imap = falta: borrar por IMAP (\Deleted y EXPUNGE){ $where } { $what }
from-mailbox = , del buzón { $mailbox },
in-folder = , de la carpeta { $folder },
retrieved-proof = mensaje { $message } leído de { $place }
deleted-proof = mensaje { $message } borrado de { $place }
closest-touched = lo que más se acerca: el mensaje { $message } de { $place } ({ $at }) { $why }
misses-protocol = fue por otro protocolo
misses-mailbox = está en otro buzón
misses-folder = está en otra carpeta
misses-message = es otro
misses-top = no se leyó entero: TOP no es RETR
misses-flags = no tiene las marcas pedidas
misses-others = está así, pero no por obra tuya
filed-wanted = falta: { $what } { $where }{ $flags }, por obra tuya
filed-in-folder = en la carpeta { $folder } de { $mailbox }
filed-in-mailbox = en el buzón { $mailbox }
filed-has = , con { $flags }
filed-lacks = , sin { $flags }
with-flags = { " " }con { $flags }
filed-proof = mensaje { $message } en { $place }{ $flags }
closest-filed = lo que más se acerca: el mensaje { $message } en { $place }{ $flags } { $why }
folder-wanted = falta: una carpeta { $folder } en el buzón { $mailbox }
mailbox-wanted = falta: { $bound } { $count ->
    [one] mensaje
   *[other] mensajes
} en { $place }
mailbox-proof = mensajes en { $place }: { $count }
it-holds = ahora hay { $count }
no-such-folder = no existe esa carpeta

## Nombres por los que se pregunta, correo para otros servidores
query-wanted = falta: una consulta DNS{ $rest }
query-for = { " " }de { $name }
query-records = { " " }({ $records })
query-answered = , con respuesta { $answer }
query-proof = preguntaste por { $name } ({ $record }): { $answer }
closest-query = lo que más se acerca: preguntaste por { $name } ({ $record }): { $answer } ({ $at })
none-asked = no has preguntado por ningún nombre
queued-wanted = falta: un mensaje que envíes a otro dominio{ $rest }
deferred-wanted = falta: un mensaje que envíes y que tenga que esperar porque el otro servidor aún no lo acepta{ $rest }
relayed-wanted = falta: un mensaje que envíes y que acepte otro servidor{ $rest }
bounced-wanted = falta: un mensaje que envíes y que no se pueda entregar{ $rest }
carried-to = , para { $pattern }
carried-status = , con estado { $pattern }
queued-proof = mensaje { $message } para { $recipient }: espera su primer intento
deferred-proof = mensaje { $message } para { $recipient }: tiene que esperar ({ $reply })
relayed-proof = mensaje { $message } para { $recipient }: lo aceptó { $server }
bounced-proof = mensaje { $message } para { $recipient }: no se pudo entregar ({ $reply })
closest-carried = lo que más se acerca: { $said } ({ $at })
none-for-others = ningún mensaje tuyo es para otro servidor

## Informes
student-head = { $name } ({ $login }, grupo { $group }): { $points } de { $all } puntos
session-head = { $session }: { $points } de { $all } puntos
session-head-complete = { $session }: { $points } de { $all } puntos, completa
worth = { $points } de { $all } { $count ->
    [one] punto
   *[other] puntos
}
worth-nothing = optativo
hint = pista: { $hint }
proven-by = { $proofs } ({ $count ->
    [one] suceso
   *[other] sucesos
} { $events })
no-students = no hay estudiantes
session = Sesión { $session }
table-student = estudiante
table-points = puntos
table-done = hechos
table-legend = ✓ hecho   – falta   ½ hecho en parte   ? dudoso (no es culpa del estudiante)

## Lo que dice la tarjeta de un estudiante
card-send = enviar
card-read = leer
card-folders = carpetas
card-names = nombres
card-mailbox = buzón
card-shared = del grupo
card-person = { $who }, grupo { $group }, { $domain }
card-account = { $user }, contraseña { $password }
card-given = { "" }, con el ca.pem que te dan
