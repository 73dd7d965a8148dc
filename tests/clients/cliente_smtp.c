/* The client of the practical "Protocolo SMTP", in the two variants that students hand in:
 *
 *   cliente_smtp ADDRESS PORT waiting      waits a moment for a reply after each line of the message, where none comes
 *   cliente_smtp ADDRESS PORT pipelined    sends DATA and the message in one go, then reads both replies
 *
 * Exit status 0: the replies were 250 250 250 354 250. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BUFFER_SIZE 1024

static int connection;
static char buffer[BUFFER_SIZE];

static void send_text(const char *text) {
    if (send(connection, text, strlen(text), 0) != (ssize_t)strlen(text)) {
        perror("send");
        exit(2);
    }
}

/* Reads up to the end of one line, an octet at a time, and gives its code; -1 where nothing came in time. */
static int receive_line(void) {
    size_t length = 0;
    while (length < BUFFER_SIZE - 1) {
        ssize_t got = recv(connection, buffer + length, 1, 0);
        if (got < 0)
            return -1;
        if (got == 0)
            exit(2);
        if (buffer[length++] == '\n')
            break;
    }
    buffer[length] = '\0';
    printf("Servidor: %s", buffer);
    return atoi(buffer);
}

static void expect(int wanted) {
    int code = receive_line();
    if (code != wanted) {
        fprintf(stderr, "got %d, wanted %d\n", code, wanted);
        exit(1);
    }
}

int main(int argc, char **argv) {
    static const char *const message[] = {"From: test@example.com\r\n", "To: recipient@example.com\r\n",
                                          "Subject: Prueba\r\n", "\r\n", "Este es el cuerpo del mensaje.\r\n"};
    const size_t lines = sizeof message / sizeof *message;
    if (argc != 4)
        return 2;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) {
        perror("connect");
        return 2;
    }
    expect(220);
    send_text("HELO localhost\r\n");
    expect(250);
    send_text("MAIL FROM:<test@example.com>\r\n");
    expect(250);
    send_text("RCPT TO:<recipient@example.com>\r\n");
    expect(250);
    if (strcmp(argv[3], "waiting") == 0) {
        struct timeval moment = {.tv_sec = 0, .tv_usec = 100000};
        send_text("DATA\r\n");
        expect(354);
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
        for (size_t i = 0; i < lines; i++) {
            send_text(message[i]);
            if (receive_line() != -1) {
                fprintf(stderr, "a reply in the middle of the message\n");
                return 1;
            }
        }
        moment.tv_sec = 10;
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
        send_text(".\r\n");
    } else {
        char all[BUFFER_SIZE] = "DATA\r\n";
        for (size_t i = 0; i < lines; i++)
            strcat(all, message[i]);
        strcat(all, ".\r\n");
        send_text(all);
        expect(354);
    }
    expect(250);
    send_text("QUIT\r\n");
    expect(221);
    close(connection);
    return 0;
}
