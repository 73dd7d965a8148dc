/* A mail client as a student of practical 2 hands it in: a state machine over HELO, MAIL, RCPT, DATA, message, RSET, QUIT.
 *
 *   practica2 ADDRESS PORT 2                 HELO and QUIT, nothing else
 *   practica2 ADDRESS PORT 3                 an unknown recipient first, then a message with header fields
 *   practica2 ADDRESS PORT 4 WORD < TEXT     TEXT whole, RSET, and a second message with a line `.WORD`
 *
 * Its habits are the practical's: `MAIL FROM:  user1` with two blanks and no brackets, `Date:` without a blank, header
 * fields with no empty line after them in session 3, each line in a packet of its own there and a whole message in one
 * send() in session 4. Exit status 0: every reply was the one expected. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connection;

static void say(const char *text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(connection, text, length, 0);
        if (sent <= 0) {
            perror("send");
            exit(2);
        }
        text += sent;
        length -= (size_t)sent;
    }
}

/* Reads one reply, which may take several recv() calls, and gives its code. */
static int reply(void) {
    static char buffer[4096];
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(connection, buffer + length, sizeof buffer - 1 - length, 0);
        if (got <= 0) {
            fprintf(stderr, "the server closed the connection\n");
            exit(2);
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
            exit(2);
    }
}

static int command(const char *line) {
    printf("C: %s\n", line);
    say(line, strlen(line));
    say("\r\n", 2);
    return reply();
}

static void expect(int code, int wanted) {
    if (code != wanted) {
        fprintf(stderr, "got %d, wanted %d\n", code, wanted);
        exit(1);
    }
}

/* The state machine up to the point where the message may be sent. */
static void envelope(const char *recipient) {
    enum { MAIL, RCPT, DATA, READY } state = MAIL;
    while (state != READY) {
        char line[256];
        switch (state) {
        case MAIL:
            expect(command("MAIL FROM:  user1"), 250);
            state = RCPT;
            break;
        case RCPT: {
            snprintf(line, sizeof line, "RCPT TO: %s", recipient);
            int code = command(line);
            if (code == 250) {
                state = DATA;
            } else {
                printf("! %s is unknown here (%d): trying user2\n", recipient, code);
                recipient = "user2";
            }
            break;
        }
        case DATA:
            expect(command("DATA"), 354);
            state = READY;
            break;
        case READY:
            break;
        }
    }
}

static void with_headers(void) {
    static const char *const lines[] = {"Date:23/11/17 19:39\r\n", "From: user1\r\n", "To: user2\r\n",
                                        "Subject: practica 2\r\n", "El texto, sin linea en blanco delante.\r\n", ".\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        say(lines[i], strlen(lines[i]));
    expect(reply(), 250);
}

/* Standard input as a message, its dots stuffed, in one send(). */
static void long_text(void) {
    static char line[1200], message[1 << 20];
    size_t length = (size_t)snprintf(message, sizeof message, "Subject: largo\r\n\r\n");
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        length += (size_t)snprintf(message + length, sizeof message - length, "%s%s\r\n", line[0] == '.' ? "." : "", line);
    }
    length += (size_t)snprintf(message + length, sizeof message - length, ".\r\n");
    say(message, length);
    expect(reply(), 250);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: practica2 ADDRESS PORT SESSION [WORD]\n");
        return 2;
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        fprintf(stderr, "`%s` is no address\n", argv[1]);
        return 2;
    }
    connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) {
        perror("connect");
        return 2;
    }
    expect(reply(), 220);
    expect(command("HELO 192.168.0.15"), 250);
    switch (atoi(argv[3])) {
    case 2:
        break;
    case 3:
        envelope("nadie");
        with_headers();
        break;
    case 4: {
        char text[256];
        envelope("user2");
        long_text();
        expect(command("RSET"), 250);
        envelope("user2");
        snprintf(text, sizeof text, "Subject: punto\r\n\r\nMi palabra:\r\n..%s\r\nfin\r\n.\r\n", argc > 4 ? argv[4] : "");
        say(text, strlen(text));
        expect(reply(), 250);
        break;
    }
    default:
        fprintf(stderr, "sessions are 2, 3 and 4\n");
        return 2;
    }
    expect(command("QUIT"), 221);
    close(connection);
    return 0;
}
