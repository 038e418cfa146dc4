// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/kvm/aml.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define OP_NAME	   0x08
#define OP_BYTE	   0x0a
#define OP_DWORD   0x0c
#define OP_STRING  0x0d
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_EXT	   0x5b
#define EXT_DEVICE 0x82
#define END_TAG	   0x79

/* Two bytes for every length, whether or not one would do: up to 4095. */
#define LENGTH_BYTES 2u
#define LENGTH_MAX   0xfffu

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	if (len > a->size - a->used)
		a->err = -ENOSPC;
	if (a->err)
		return;
	memcpy(a->buf + a->used, bytes, len);
	a->used += len;
}

static void put(struct aml *a, uint8_t byte)
{
	aml_bytes(a, &byte, 1);
}

static void open_package(struct aml *a)
{
	assert(a->depth < AML_MAX_DEPTH);
	a->open[a->depth++] = a->used;
	put(a, 0);
	put(a, 0);
}

static void close_package(struct aml *a)
{
	size_t at = a->open[--a->depth];
	size_t len = a->used - at;

	if (len > LENGTH_MAX)
		a->err = -ENOSPC;
	if (a->err)
		return;
	a->buf[at] = (uint8_t)(0x40 | (len & 0xf));
	a->buf[at + 1] = (uint8_t)(len >> 4);
}

void aml_scope(struct aml *a, const char *name)
{
	put(a, OP_SCOPE);
	open_package(a);
	aml_bytes(a, name, strlen(name));
}

void aml_device(struct aml *a, const char *name)
{
	put(a, OP_EXT);
	put(a, EXT_DEVICE);
	open_package(a);
	aml_bytes(a, name, strlen(name));
}

void aml_end(struct aml *a)
{
	close_package(a);
}

static void name(struct aml *a, const char *what)
{
	put(a, OP_NAME);
	aml_bytes(a, what, strlen(what));
}

void aml_name_int(struct aml *a, const char *what, uint32_t value)
{
	name(a, what);
	put(a, OP_DWORD);
	aml_bytes(a, &value, sizeof(value));
}

void aml_name_string(struct aml *a, const char *what, const char *value)
{
	name(a, what);
	put(a, OP_STRING);
	aml_bytes(a, value, strlen(value) + 1);
}

void aml_name_package(struct aml *a, const char *what, const uint8_t *values,
		      uint8_t nr)
{
	uint8_t i;

	name(a, what);
	put(a, OP_PACKAGE);
	open_package(a);
	put(a, nr);
	for (i = 0; i < nr; i++) {
		put(a, OP_BYTE);
		put(a, values[i]);
	}
	close_package(a);
}

void aml_name_resources(struct aml *a, const void *descriptors, uint8_t len)
{
	name(a, "_CRS");
	put(a, OP_BUFFER);
	open_package(a);
	put(a, OP_BYTE);
	put(a, (uint8_t)(len + 2));
	aml_bytes(a, descriptors, len);
	put(a, END_TAG);
	put(a, 0); /* no checksum */
	close_package(a);
}
