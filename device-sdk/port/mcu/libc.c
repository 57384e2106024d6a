/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libc.c - the five functions of the C library that the device needs, small before fast.
 *
 * The usual libraries for controllers unroll these loops by words, which costs more flash than all
 * of a packet's encoding.  A port that links such a library anyway leaves this file out.  It must
 * be compiled with -ffreestanding (else the compiler sees memcpy in memcpy's loop) and without link
 * time optimisation, which adds calls to these functions after it has looked who needs them.
 */
#include <stddef.h>

int memcmp(const void *a, const void *b, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
size_t strlen(const char *s);

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;
	int diff = 0;

	while (n-- > 0 && diff == 0)
		diff = *x++ - *y++;
	return diff;
}

void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	/* Downwards when the end of the source would be overwritten before it is read. */
	if (t > f) {
		while (n-- > 0)
			t[n] = f[n];
	} else {
		while (n-- > 0)
			*t++ = *f++;
	}
	return to;
}

/* A second copy of the loop would cost more than the comparison that it saves. */
void *memcpy(void *to, const void *from, size_t n)
{
	return memmove(to, from, n);
}

void *memset(void *to, int c, size_t n)
{
	unsigned char *t = to;

	while (n-- > 0)
		*t++ = (unsigned char)c;
	return to;
}

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end != '\0')
		end++;
	return (size_t)(end - s);
}
