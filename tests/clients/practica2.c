/* A mail client as a student of practical 2 hands it in: a state machine over HELO, MAIL, RCPT, DATA, message, RSET, QUIT.
 *
 *   practica2 ADDRESS PORT 2                 HELO and QUIT, nothing else
 *   practica2 ADDRESS PORT 3                 an unknown recipient first, then a message with header fields
 *   practica2 ADDRESS PORT 3 user2           a message with header fields; whoever is unknown is tried again
 *   practica2 ADDRESS PORT 4 WORD < TEXT     TEXT whole, RSET, and a second message with a line `.WORD`
 *
 * A server that refuses the connection or cuts it is told to the user and tried again, five times in all. Its habits are the
 * practical's: `MAIL FROM:  user1` with two blanks and no brackets, `Date:` without a blank, header fields with no empty line
 * after them in session 3, each line in a packet of its own there and a whole message in one send() in session 4. Exit status
 * 0: every reply was the one expected in the end. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 5, LOST = 0 };

static int connection;

/* Whether all of it could be sent. */
static int say(const char *text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(connection, text, length, 0);
        if (sent <= 0) {
            perror("! send");
            return 0;
        }
        text += sent;
        length -= (size_t)sent;
    }
    return 1;
}

/* Reads one reply, which may take several recv() calls, and gives its code; LOST where the connection ended. */
static int reply(void) {
    static char buffer[4096];
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(connection, buffer + length, sizeof buffer - 1 - length, 0);
        if (got <= 0) {
            fprintf(stderr, "! the server closed the connection\n");
            return LOST;
        }
        length += (size_t)got;
        buffer[length] = '\0';
        char *line = buffer, *end;
        while ((end = strstr(line, "\r\n")) != NULL) {
            if (end - line >= 4 && line[3] == ' ') {
                printf("S: %.*s\n", (int)(end - line), line);
                return atoi(line);
            }
            line = end + 2;
        }
        if (length == sizeof buffer - 1)
            return LOST;
    }
}

static int command(const char *line) {
    printf("C: %s\n", line);
    return say(line, strlen(line)) && say("\r\n", 2) ? reply() : LOST;
}

/* Whether the reply was the wanted one; another one is told. */
static int is(int code, int wanted) {
    if (code != wanted && code != LOST)
        fprintf(stderr, "! got %d, wanted %d\n", code, wanted);
    return code == wanted;
}

/* The state machine up to the point where the message may be sent. */
static int envelope(const char *recipient) {
    enum { MAIL, RCPT, DATA, READY } state = MAIL;
    int refused = 0;
    while (state != READY) {
        char line[256];
        switch (state) {
        case MAIL:
            if (!is(command("MAIL FROM:  user1"), 250))
                return 0;
            state = RCPT;
            break;
        case RCPT: {
            snprintf(line, sizeof line, "RCPT TO: %s", recipient);
            int code = command(line);
            if (code == 250) {
                state = DATA;
            } else if (code == LOST || ++refused == TRIES) {
                return 0;
            } else {
                printf("! %s is unknown here (%d): trying user2\n", recipient, code);
                recipient = "user2";
            }
            break;
        }
        case DATA:
            if (!is(command("DATA"), 354))
                return 0;
            state = READY;
            break;
        case READY:
            break;
        }
    }
    return 1;
}

static int with_headers(void) {
    static const char *const lines[] = {"Date:23/11/17 19:39\r\n", "From: user1\r\n", "To: user2\r\n",
                                        "Subject: practica 2\r\n", "El texto, sin linea en blanco delante.\r\n", ".\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!say(lines[i], strlen(lines[i])))
            return 0;
    return is(reply(), 250);
}

/* Standard input as a message, its dots stuffed, in one send(). */
static int long_text(void) {
    static char line[1200], message[1 << 20];
    size_t length = (size_t)snprintf(message, sizeof message, "Subject: largo\r\n\r\n");
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        length += (size_t)snprintf(message + length, sizeof message - length, "%s%s\r\n", line[0] == '.' ? "." : "", line);
    }
    length += (size_t)snprintf(message + length, sizeof message - length, ".\r\n");
    return say(message, length) && is(reply(), 250);
}

/* What the session asks for, over the open connection; whether all of it went well. */
static int session(int number, const char *word) {
    char text[256];
    if (!is(reply(), 220) || !is(command("HELO 192.168.0.15"), 250))
        return 0;
    if (number == 3 && !(envelope(word != NULL ? word : "nadie") && with_headers()))
        return 0;
    if (number == 4) {
        snprintf(text, sizeof text, "Subject: punto\r\n\r\nMi palabra:\r\n..%s\r\nfin\r\n.\r\n", word != NULL ? word : "");
        if (!envelope("user2") || !long_text() || !is(command("RSET"), 250) || !envelope("user2") ||
            !say(text, strlen(text)) || !is(reply(), 250))
            return 0;
    }
    return is(command("QUIT"), 221);
}

int main(int argc, char **argv) {
    if (argc < 4 || atoi(argv[3]) < 2 || atoi(argv[3]) > 4) {
        fprintf(stderr, "usage: practica2 ADDRESS PORT 2|3|4 [WORD]\n");
        return 2;
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        fprintf(stderr, "`%s` is no address\n", argv[1]);
        return 2;
    }
    /* A connection that the server has cut is an error of send(), not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    for (int attempt = 1; attempt <= TRIES; attempt++) {
        connection = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) {
            perror("! connect");
            return 2;
        }
        int well = session(atoi(argv[3]), argc > 4 ? argv[4] : NULL);
        close(connection);
        if (well)
            return 0;
        printf("! attempt %d failed\n", attempt);
    }
    return 1;
}
