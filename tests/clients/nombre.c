/* A mail client as a student of practical 2 hands it in for session 5: it is given the server's name and asks the DNS for its
 * address. All its addresses are IPv6 ones, an IPv4 address mapped into one (RFC 4291 2.5.5.2).
 *
 *   nombre DNS-ADDRESS DNS-PORT NAME SMTP-PORT
 *
 * It asks for AAAA and then for A (RFC 1035 4), connects to the first address that it hears of, and sends: an unknown recipient first,
 * then a message to user2, RSET, and a second one. Exit status 0: every reply was the one expected; 3: there is no such name. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { A = 1, AAAA = 28, HEADER = 12, NO_SUCH_NAME = 3 };

/* An address of either kind, with its port. */
static struct sockaddr_in6 place(const char *text, const char *port) {
    struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(port))};
    char mapped[64];
    snprintf(mapped, sizeof mapped, "%s%s", strchr(text, ':') == NULL ? "::ffff:" : "", text);
    if (inet_pton(AF_INET6, mapped, &place.sin6_addr) != 1) {
        fprintf(stderr, "`%s` is no address\n", text);
        exit(2);
    }
    return place;
}

/* The octets of a question for NAME. */
static size_t question(unsigned char *octets, const char *name, int type) {
    static const unsigned char header[HEADER] = {0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    size_t length = HEADER;
    memcpy(octets, header, HEADER);
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        octets[length++] = (unsigned char)label;
        memcpy(octets + length, name, label);
        length += label;
        name += label + (name[label] == '.');
    }
    const unsigned char end[] = {0, 0, (unsigned char)type, 0, 1};
    memcpy(octets + length, end, sizeof end);
    return length + sizeof end;
}

/* Asks for a record of NAME; the response code, and in FOUND the first address, if there is one. */
static int ask(const struct sockaddr_in6 *dns, const char *name, int type, struct in6_addr *found, int *addresses) {
    unsigned char octets[512];
    size_t asked = question(octets, name, type);
    struct timeval patience = {.tv_sec = 5};
    int udp = socket(AF_INET6, SOCK_DGRAM, 0);
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (sendto(udp, octets, asked, 0, (const struct sockaddr *)dns, sizeof *dns) < 0)
        perror("! sendto");
    ssize_t got = recv(udp, octets, sizeof octets, 0);
    close(udp);
    if (got < (ssize_t)asked) {
        fprintf(stderr, "! the DNS server does not answer\n");
        exit(1);
    }
    *addresses = octets[7];
    /* The answer stands behind the question: a name in two octets, type, class, time to live, length, address. */
    const unsigned char *address = octets + asked + 12;
    memset(found, 0, sizeof *found);
    if (*addresses > 0 && type == AAAA)
        memcpy(found, address, 16);
    if (*addresses > 0 && type == A) {
        memset(found->s6_addr + 10, 0xff, 2);
        memcpy(found->s6_addr + 12, address, 4);
    }
    return octets[3] & 15;
}

static int smtp;

/* Sends a line, reads a reply and compares its code. */
static int expect(const char *line, int wanted) {
    char buffer[1024];
    size_t length = 0;
    if (line != NULL && send(smtp, line, strlen(line), 0) < 0)
        perror("! send");
    do {
        ssize_t got = recv(smtp, buffer + length, sizeof buffer - 1 - length, 0);
        if (got <= 0)
            return 0;
        length += (size_t)got;
        buffer[length] = '\0';
    } while (strstr(buffer, "\r\n") == NULL);
    printf("S: %s", buffer);
    return atoi(buffer) == wanted;
}

static int message(void) {
    return expect("RCPT TO: user2\r\n", 250) && expect("DATA\r\n", 354) &&
           expect("Subject: por nombre\r\n\r\nHola\r\n.\r\n", 250);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: nombre DNS-ADDRESS DNS-PORT NAME SMTP-PORT\n");
        return 2;
    }
    struct sockaddr_in6 dns = place(argv[1], argv[2]), server = place("::", argv[4]);
    int addresses = 0, code = ask(&dns, argv[3], AAAA, &server.sin6_addr, &addresses);
    if (code == 0 && addresses == 0)
        code = ask(&dns, argv[3], A, &server.sin6_addr, &addresses);
    if (code != 0 || addresses == 0) {
        fprintf(stderr, "! there is no server `%s`\n", argv[3]);
        return NO_SUCH_NAME;
    }
    smtp = socket(AF_INET6, SOCK_STREAM, 0);
    if (connect(smtp, (const struct sockaddr *)&server, sizeof server) != 0) {
        perror("! connect");
        return 1;
    }
    int well = expect(NULL, 220) && expect("HELO cliente\r\n", 250) && expect("MAIL FROM: user1\r\n", 250) &&
               expect("RCPT TO: nadie\r\n", 554) && message() && expect("RSET\r\n", 250) &&
               expect("MAIL FROM: user1\r\n", 250) && message() && expect("QUIT\r\n", 221);
    close(smtp);
    return well ? 0 : 1;
}
