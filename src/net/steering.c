/* SPDX-License-Identifier: Apache-2.0 */
#include "net/steering.h"

#include <errno.h>
#include <sys/socket.h>

#ifdef HAVE_LINUX_FILTER_H
# include <linux/filter.h>
#endif

enum {
	NSI_SP_OFF = 4,
	NSI_SP_END = 8,
	HEADER_LEN = 16,
	WORKER_SHIFT = 24,
};

/* Opcodes of classic BPF; written out so that the program exists where the header does not. */
enum {
	LD_LEN = 0x80,  /* A = length of the datagram */
	LD_WORD = 0x20, /* A = 32 bits at k */
	JGE = 0x35,     /* jump jt when A >= k, else jf */
	JEQ = 0x15,     /* jump jt when A == k, else jf */
	RSH = 0x74,     /* A >>= k */
	MOD = 0x94,     /* A %= k */
	RET_K = 0x06,   /* return k */
	RET_A = 0x16,   /* return A */
};

void bs_steering_program(unsigned n, struct bs_steering_insn out[BS_STEERING_LEN])
{
	/* An index past the group makes the kernel fall back to its hash. */
	const struct bs_steering_insn prog[BS_STEERING_LEN] = {
		{ LD_LEN, 0, 0, 0 }, { JGE, 0, 5, HEADER_LEN },   { LD_WORD, 0, 0, NSI_SP_OFF },
		{ JEQ, 3, 0, 0 },    { RSH, 0, 0, WORKER_SHIFT }, { MOD, 0, 0, n },
		{ RET_A, 0, 0, 0 },  { RET_K, 0, 0, UINT32_MAX },
	};
	unsigned i;

	for (i = 0; i < BS_STEERING_LEN; i++)
		out[i] = prog[i];
}

int bs_steering_attach(int fd, unsigned n)
{
#if defined(HAVE_LINUX_FILTER_H) && HAVE_DECL_SO_ATTACH_REUSEPORT_CBPF
	struct bs_steering_insn code[BS_STEERING_LEN];
	struct sock_filter filter[BS_STEERING_LEN];
	struct sock_fprog prog = { .len = BS_STEERING_LEN, .filter = filter };
	unsigned i;

	bs_steering_program(n, code);
	for (i = 0; i < BS_STEERING_LEN; i++)
		filter[i] = (struct sock_filter){ code[i].code, code[i].jt, code[i].jf, code[i].k };
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) == 0)
		return BS_OK;
	if (errno == EPERM || errno == EACCES)
		return BS_EPERM;
	return errno == ENOPROTOOPT ? BS_EUNREACH : BS_EIO;
#else
	(void)fd;
	(void)n;
	return BS_EUNREACH;
#endif
}

int bs_steer(const uint8_t *data, size_t len, unsigned n)
{
	unsigned top = 0;
	size_t i;

	if (len < HEADER_LEN)
		return BS_STEER_ANY;
	for (i = NSI_SP_OFF; i < NSI_SP_END; i++)
		top |= data[i];
	return top == 0 ? BS_STEER_ANY : (int)(data[NSI_SP_OFF] % n);
}
