/* SPDX-License-Identifier: Apache-2.0 */
#include "server/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "util/cursor.h"

/* Magic, version, word. */
#define HEAD_LEN 6
#define ITEM_LEN (HEAD_LEN + 2 + 2 + 2 + BS_IP_LEN + 2)
#define WIRE_MAX (ITEM_LEN + BS_HANDOVER_DATA_MAX)
/* More sockets than the largest conf has: what comes above is not ours. */
#define ITEMS_MAX 65536u
/* The other end reads at once or not at all. */
#define SEND_WAIT_S 5

static const uint8_t magic[4] = { 'B', 'S', 'U', 'P' };

union rights {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(int))];
};

/* ---- the list */

void bs_handover_fini(struct bs_handover *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (h->owns && h->item[i].fd >= 0)
			close(h->item[i].fd);
		/* keys are among the values */
		bs_wipe(h->item[i].data, sizeof(h->item[i].data));
	}
	free(h->item);
	memset(h, 0, sizeof(*h));
}

int bs_handover_add(struct bs_handover *h, const struct bs_handover_item *item)
{
	if (item->len > BS_HANDOVER_DATA_MAX || h->n >= ITEMS_MAX)
		return BS_ETOOBIG;
	if (h->n == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 16;
		struct bs_handover_item *p = calloc(cap, sizeof(*p));

		if (!p)
			return BS_ENOMEM;
		/* not realloc: it would leave keys behind in freed memory */
		if (h->n > 0)
			memcpy(p, h->item, h->n * sizeof(*p));
		if (h->n > 0)
			bs_wipe(h->item, h->n * sizeof(*p));
		free(h->item);
		h->item = p;
		h->cap = cap;
	}
	h->item[h->n++] = *item;
	return BS_OK;
}

static struct bs_handover_item *find(const struct bs_handover *h, uint8_t what, uint16_t worker,
				     uint16_t index)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		struct bs_handover_item *it = &h->item[i];

		if (it->what == what && it->worker == worker && it->index == index)
			return it;
	}
	return NULL;
}

const struct bs_handover_item *bs_handover_find(const struct bs_handover *h, uint8_t what,
						uint16_t worker, uint16_t index)
{
	return find(h, what, worker, index);
}

int bs_handover_take(struct bs_handover *h, uint8_t what, uint16_t worker, uint16_t index)
{
	struct bs_handover_item *it = find(h, what, worker, index);
	int fd;

	if (!it || it->fd < 0)
		return BS_ENOENT;
	fd = it->fd;
	it->fd = -1;
	return fd;
}

const struct bs_handover_item *bs_handover_left(const struct bs_handover *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (h->item[i].fd >= 0)
			return &h->item[i];
	}
	return NULL;
}

/* ---- the wire */

int bs_handover_pair(int fd[2])
{
	struct timeval wait = { .tv_sec = SEND_WAIT_S };
	unsigned i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return BS_EFULL;
	for (i = 0; i < 2; i++)
		(void)setsockopt(fd[i], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return BS_OK;
}

static void put_head(struct bs_writer *w, uint8_t word)
{
	bs_writer_put_bytes(w, magic, sizeof(magic));
	bs_writer_put_u8(w, BS_HANDOVER_VERSION);
	bs_writer_put_u8(w, word);
}

static int transmit(int sock, uint8_t *buf, size_t len, int fd)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union rights r;
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&r, 0, sizeof(r));
		m.msg_control = &r;
		m.msg_controllen = sizeof(r);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? BS_ETIMEDOUT : BS_ECLOSED;
	return BS_OK;
}

/* The descriptor of a packet, -1 without one. */
static int rights_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* One packet: its length, or an error. */
static int receive(int sock, int wait_ms, uint8_t buf[static WIRE_MAX], int *fd)
{
	struct iovec iov = { .iov_base = buf, .iov_len = WIRE_MAX };
	union rights r;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &r, .msg_controllen = sizeof(r)
	};
	struct pollfd p = { .fd = sock, .events = POLLIN };
	ssize_t n;

	*fd = -1;
	do
		n = poll(&p, 1, wait_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return BS_ETIMEDOUT;
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return BS_ECLOSED;
	*fd = rights_of(&m);
	if (n >= HEAD_LEN && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	    memcmp(buf, magic, sizeof(magic)) == 0)
		return (int)n;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return BS_EPROTO;
}

int bs_handover_say(int sock, enum bs_handover_word word, const char *text)
{
	uint8_t buf[WIRE_MAX];
	struct bs_writer w;
	size_t len = text ? strlen(text) : 0;

	bs_writer_init(&w, buf, sizeof(buf));
	put_head(&w, (uint8_t)word);
	bs_writer_put_bytes(&w, text, len < BS_HANDOVER_DATA_MAX ? len : BS_HANDOVER_DATA_MAX);
	return transmit(sock, buf, w.len, -1);
}

/* The word of a packet, when it is of our version. */
static int word_of(const uint8_t *buf)
{
	return buf[4] == BS_HANDOVER_VERSION ? buf[5] : BS_EVERSION;
}

int bs_handover_hear(int sock, int wait_ms, char *text, size_t cap)
{
	uint8_t buf[WIRE_MAX];
	int fd;
	int n = receive(sock, wait_ms, buf, &fd);
	size_t len;

	if (n < 0)
		return n;
	if (fd >= 0)
		close(fd);
	len = (size_t)n - HEAD_LEN;
	if (len >= cap)
		len = cap - 1;
	memcpy(text, buf + HEAD_LEN, len);
	text[len] = '\0';
	return word_of(buf);
}

static int send_item(int sock, const struct bs_handover_item *it)
{
	uint8_t buf[WIRE_MAX];
	struct bs_writer w;
	int rc;

	bs_writer_init(&w, buf, sizeof(buf));
	put_head(&w, BS_HANDOVER_ITEM);
	bs_writer_put_u8(&w, it->what);
	bs_writer_put_u8(&w, it->role);
	bs_writer_put_u16(&w, it->worker);
	bs_writer_put_u16(&w, it->index);
	bs_writer_put_bytes(&w, it->ep.ip, sizeof(it->ep.ip));
	bs_writer_put_u16(&w, it->ep.port);
	bs_writer_put_bytes(&w, it->data, it->len);
	rc = transmit(sock, buf, w.len, it->fd);
	bs_wipe(buf, sizeof(buf));
	return rc;
}

int bs_handover_send(int sock, const struct bs_handover *h)
{
	int rc = BS_OK;
	size_t i;

	for (i = 0; i < h->n && rc == BS_OK; i++)
		rc = send_item(sock, &h->item[i]);
	return rc == BS_OK ? bs_handover_say(sock, BS_HANDOVER_END, NULL) : rc;
}

static int take_item(struct bs_handover *h, const uint8_t *buf, size_t len, int fd)
{
	struct bs_handover_item it;
	struct bs_cursor c;
	const uint8_t *p;

	memset(&it, 0, sizeof(it));
	bs_cursor_init(&c, buf + HEAD_LEN, len - HEAD_LEN);
	it.what = bs_cursor_read_u8(&c);
	it.role = bs_cursor_read_u8(&c);
	it.worker = bs_cursor_read_u16(&c);
	it.index = bs_cursor_read_u16(&c);
	p = bs_cursor_read_bytes(&c, sizeof(it.ep.ip));
	if (p)
		memcpy(it.ep.ip, p, sizeof(it.ep.ip));
	it.ep.port = bs_cursor_read_u16(&c);
	it.len = (uint16_t)bs_cursor_left(&c);
	p = bs_cursor_read_bytes(&c, it.len);
	/* a socket without a descriptor cannot be used, a value with one leaks it */
	if (c.bad || (it.what < BS_HANDOVER_VALUES) != (fd >= 0))
		return BS_EPROTO;
	if (it.len > 0)
		memcpy(it.data, p, it.len);
	it.fd = fd;
	return bs_handover_add(h, &it);
}

int bs_handover_receive(int sock, int wait_ms, struct bs_handover *h)
{
	uint8_t buf[WIRE_MAX];
	int rc = BS_OK;

	h->owns = true;
	while (rc == BS_OK) {
		int fd;
		int n = receive(sock, wait_ms, buf, &fd);
		int word = n < 0 ? n : word_of(buf);

		if (word == BS_HANDOVER_ITEM)
			rc = take_item(h, buf, (size_t)n, fd);
		else
			rc = word < 0 ? word : BS_EPROTO;
		if (rc != BS_OK && fd >= 0)
			close(fd);
		if (word == BS_HANDOVER_END)
			rc = BS_OK;
		if (word == BS_HANDOVER_END)
			break;
	}
	bs_wipe(buf, sizeof(buf));
	return rc;
}
