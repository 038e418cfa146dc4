/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing ACPI machine language: the few terms that describing devices takes
 * (ACPI 6.5, sections 20.2 and 6.4).
 */
#ifndef HYP_KVM_AML_H
#define HYP_KVM_AML_H

#include <stddef.h>
#include <stdint.h>

#define AML_MAX_DEPTH 4

/** struct aml - a buffer that is being written; begins as { buf, size } */
struct aml {
	uint8_t *buf;
	size_t size, used;
	int err; /* 0, or -ENOSPC: nothing more is written */
	unsigned int depth;
	size_t open[AML_MAX_DEPTH]; /* where the length of a package belongs */
};

/** aml_bytes() - as they are */
void aml_bytes(struct aml *a, const void *bytes, size_t len);

/** aml_scope(), aml_device() - begin one; up to aml_end() all is inside it */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_end(struct aml *a);

/** aml_name_int(), aml_name_string() - a name with a value; names are 4 long */
void aml_name_int(struct aml *a, const char *name, uint32_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);

/** aml_name_package() - a name with a package of small integers */
void aml_name_package(struct aml *a, const char *name, const uint8_t *values,
		      uint8_t nr);

/** aml_name_resources() - _CRS: descriptors, without their end tag */
void aml_name_resources(struct aml *a, const void *descriptors, uint8_t len);

#endif /* HYP_KVM_AML_H */
