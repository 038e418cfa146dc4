/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM in the words of the control protocol.  Loop's thread. */
#ifndef HYP_VM_DESCRIBE_H
#define HYP_VM_DESCRIBE_H

#include "hyp/ctl/message.h"
#include "hyp/share.h"
#include "hyp/vm/pause.h"

/** describe_bytes() - a number, or null if it is 0 */
void describe_bytes(cJSON *object, const char *name, uint64_t bytes);

/** describe_pause() - "state" and "paused_by" */
void describe_pause(const struct pause_state *pause, cJSON *object);

/** describe_state() - the same of now */
void describe_state(struct vm *vm, cJSON *object);

/** describe_limit() - "limit_bytes" and "resident_bytes" of now */
void describe_limit(struct vm *vm, cJSON *object);

/** describe_now() - "timestamp_ms" */
void describe_now(cJSON *object);

/** describe_share(), describe_balloon() - Return: an object; NULL: out of memory */
cJSON *describe_share(const struct share *share);
cJSON *describe_balloon(uint64_t target_bytes, uint64_t actual_bytes);

#endif /* HYP_VM_DESCRIBE_H */
