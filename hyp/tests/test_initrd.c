// SPDX-License-Identifier: GPL-2.0-only
/* Whole initrds pass, and each of their prefixes is found to be cut short. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "hyp/kvm/initrd.h"

struct archive {
	unsigned char bytes[4096];
	size_t len;
};

static void add(struct archive *a, const void *data, size_t len)
{
	assert_true(a->len + len <= sizeof(a->bytes));
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static void pad(struct archive *a, size_t unit)
{
	while (a->len % unit)
		add(a, "", 1);
}

static void add_entry(struct archive *a, const char *name, const char *content)
{
	char header[111];

	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 1, 0100644, 0, 0, 1, 0, (unsigned int)strlen(content), 0, 0, 0,
		 0, (unsigned int)strlen(name) + 1, 0);
	add(a, header, 110);
	add(a, name, strlen(name) + 1);
	pad(a, 4);
	add(a, content, strlen(content));
	pad(a, 4);
}

static void make_cpio(struct archive *a)
{
	add_entry(a, "init", "#!/bin/sh\nexec true\n");
	add_entry(a, "empty", "");
	add_entry(a, "TRAILER!!!", "");
}

static void add_gzip(struct archive *a, const struct archive *plain)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8,
				      Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = (unsigned char *)plain->bytes;
	z.avail_in = (unsigned int)plain->len;
	z.next_out = a->bytes + a->len;
	z.avail_out = (unsigned int)(sizeof(a->bytes) - a->len);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	a->len += z.total_out;
	deflateEnd(&z);
}

static int check(const struct archive *a, size_t len)
{
	FILE *file = tmpfile();
	int ret;

	assert_non_null(file);
	assert_int_equal(fwrite(a->bytes, 1, len, file), len);
	assert_int_equal(fflush(file), 0);
	ret = initrd_check(fileno(file), len);
	fclose(file);
	return ret;
}

static void plain_cpio(void **state)
{
	struct archive a = { 0 };
	size_t len;

	(void)state;
	make_cpio(&a);
	assert_int_equal(check(&a, a.len), 0);
	/* 5 bytes of the magic tell that it is one. */
	for (len = 5; len < a.len - 3; len++)
		assert_int_equal(check(&a, len), -EINVAL);
	pad(&a, 512);
	assert_int_equal(check(&a, a.len), 0);
}

static void gzip_cpio(void **state)
{
	struct archive plain = { 0 }, a = { 0 };
	size_t len;

	(void)state;
	make_cpio(&plain);
	add_gzip(&a, &plain);
	assert_int_equal(check(&a, a.len), 0);
	for (len = 2; len < a.len; len++)
		assert_int_equal(check(&a, len), -EINVAL);
	a.bytes[a.len - 8] ^= 1; /* checksum */
	assert_int_equal(check(&a, a.len), -EINVAL);
}

/* Microcode comes in a plain archive in front of the compressed one. */
static void several(void **state)
{
	struct archive plain = { 0 }, a = { 0 };
	size_t first;

	(void)state;
	make_cpio(&plain);
	make_cpio(&a);
	pad(&a, 512);
	first = a.len;
	add_gzip(&a, &plain);
	pad(&a, 4);
	add_gzip(&a, &plain);
	assert_int_equal(check(&a, a.len), 0);
	assert_int_equal(check(&a, a.len - 1), -EINVAL);
	assert_int_equal(check(&a, first + 20), -EINVAL);
}

static void damaged(void **state)
{
	struct archive a = { 0 };

	(void)state;
	make_cpio(&a);
	memcpy(a.bytes + 94, "000005zz", 8); /* name size */
	assert_int_equal(check(&a, a.len), -EINVAL);
	memcpy(a.bytes + 94, "ffffffff", 8);
	assert_int_equal(check(&a, a.len), -EINVAL);
	memcpy(a.bytes + 94, "00000000", 8);
	assert_int_equal(check(&a, a.len), -EINVAL);
	memcpy(a.bytes + 94, "00000005", 8);
	a.bytes[110 + 6 + 20]++; /* magic of the second entry */
	assert_int_equal(check(&a, a.len), -EINVAL);
	a.bytes[110 + 6 + 20]--;
	memcpy(a.bytes + 54, "ffffffff", 8); /* file size */
	assert_int_equal(check(&a, a.len), -EINVAL);
}

static void other_formats_pass(void **state)
{
	struct archive a = { 0 };

	(void)state;
	add(&a, "\3757zXZ\0 whatever", 16);
	assert_int_equal(check(&a, a.len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_cpio),
		cmocka_unit_test(gzip_cpio),
		cmocka_unit_test(several),
		cmocka_unit_test(damaged),
		cmocka_unit_test(other_formats_pass),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
