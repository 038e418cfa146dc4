// SPDX-License-Identifier: GPL-2.0-only
/* Text to the first serial port: a small printf. */
#include "guest-tests/lib/guest.h"

#define COM1	     0x3f8
#define COM1_STATUS  (COM1 + 5)
#define STATUS_EMPTY 0x20

static void put(char c)
{
	while (!(inb(COM1_STATUS) & STATUS_EMPTY))
		cpu_relax();
	outb(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(uint64_t v, unsigned int base, unsigned int width,
		       char pad)
{
	char digits[24];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width > n) {
		put(pad);
		width--;
	}
	while (n)
		put(digits[--n]);
}

static void put_signed(int64_t v, unsigned int width, char pad)
{
	if (v < 0) {
		put('-');
		put_number(-(uint64_t)v, 10, width, pad);
	} else {
		put_number((uint64_t)v, 10, width, pad);
	}
}

void vprint(const char *fmt, va_list ap)
{
	unsigned int width, size;
	uint64_t v;
	char pad;

	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		pad = *fmt == '0' ? '0' : ' ';
		for (width = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (unsigned int)(*fmt - '0');
		for (size = 0; *fmt == 'l' || *fmt == 'z'; fmt++)
			size++;
		switch (*fmt) {
		case 's':
			put_string(va_arg(ap, const char *));
			break;
		case 'c':
			put((char)va_arg(ap, int));
			break;
		case 'd':
			put_signed(size ? va_arg(ap, int64_t) : va_arg(ap, int),
				   width, pad);
			break;
		case 'u':
		case 'x':
			v = size ? va_arg(ap, uint64_t) :
				   va_arg(ap, unsigned int);
			put_number(v, *fmt == 'x' ? 16 : 10, width, pad);
			break;
		case 'p':
			put_number((uintptr_t)va_arg(ap, void *), 16, 0, pad);
			break;
		default:
			put('%');
			put(*fmt);
		}
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}
