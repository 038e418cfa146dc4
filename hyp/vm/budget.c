// SPDX-License-Identifier: GPL-2.0-only
/* What a VM may have and should have: limit, share, balloon. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "hyp/vm/commands.h"
#include "hyp/vm/describe.h"
#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

uint64_t vm_lowest_limit(const struct vm *vm)
{
	return vm->cfg->swap_dir ? CONFIG_LIMIT_FLOOR : vm->cfg->mem_bytes;
}

/* Return: 0 or -EINVAL. */
static int parse_limit(const struct vm *vm, const struct ctl_request *req,
		       uint64_t *bytes, struct ctl_error *error)
{
	const cJSON *item =
		cJSON_GetObjectItemCaseSensitive(req->object, "limit");
	int err;

	if (cJSON_IsString(item) && !strcmp(item->valuestring, "none")) {
		*bytes = 0;
		return 0;
	}
	err = ctl_number(req, "limit", bytes, error);
	if (err == -ENOENT)
		return ctl_error_set(error, "limit", "missing");
	if (err)
		return ctl_error_set(error, "limit",
				     "neither a number of bytes nor \"none\"");
	if (*bytes % MEM_PAGE_SIZE || *bytes < CONFIG_LIMIT_FLOOR ||
	    *bytes > vm->cfg->mem_bytes)
		return ctl_error_set(
			error, "limit",
			"%" PRIu64
			" is not a multiple of %u from %llu to %" PRIu64
			" bytes",
			*bytes, MEM_PAGE_SIZE, CONFIG_LIMIT_FLOOR,
			vm->cfg->mem_bytes);
	if (*bytes < vm_lowest_limit(vm))
		return ctl_error_set(
			error, "limit",
			"this VM has no swap file for what it would lose; it was started with --swap none");
	return 0;
}

void vm_do_limit(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req)
{
	struct ctl_error error;
	uint64_t bytes = 0;
	cJSON *out;
	int err;

	err = parse_limit(vm, req, &bytes, &error);
	if (!err && mem_set_limit(vm->mem, bytes))
		err = ctl_error_set(&error, "limit", "%" PRIu64 " is refused",
				    bytes);
	if (err) {
		ctl_refuse(client, &error);
		return;
	}
	out = cJSON_CreateObject();
	describe_limit(vm, out);
	ctl_answer(client, out);
	vm_news(vm);
}

/* A field that may be missing.  Return: 0 or -EINVAL. */
static int parse_setting(const struct ctl_request *req, const char *field,
			 bool *has, uint64_t *value, struct ctl_error *error)
{
	int err = ctl_number(req, field, value, error);

	*has = !err;
	return err == -ENOENT ? 0 : err;
}

static int parse_share(const struct vm *vm, const struct ctl_request *req,
		       struct share *share, struct ctl_error *error)
{
	struct share_change change = { 0 };
	struct why why = { "" };
	const char *wrong;
	int err;

	err = parse_setting(req, "min", &change.has_min, &change.to.min_bytes,
			    error);
	if (!err)
		err = parse_setting(req, "entitlement", &change.has_entitlement,
				    &change.to.entitlement_bytes, error);
	if (!err)
		err = parse_setting(req, "max", &change.has_max,
				    &change.to.max_bytes, error);
	if (!err)
		err = parse_setting(req, "weight", &change.has_weight,
				    &change.to.weight, error);
	if (err)
		return err;
	*share = vm->share;
	share_update(share, &change);
	wrong = share_check(share, vm->cfg->mem_bytes, &why);
	return wrong ? ctl_error_set(error, wrong, "%s", why.text) : 0;
}

/* With no field it changes nothing and says what there is. */
void vm_do_share(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req)
{
	struct ctl_error error;
	struct share share;

	if (parse_share(vm, req, &share, &error)) {
		ctl_refuse(client, &error);
		return;
	}
	vm->share = share;
	ctl_answer(client, describe_share(&share));
	vm_news(vm);
}

static int set_balloon(struct vm *vm, const struct ctl_request *req,
		       struct ctl_error *error)
{
	uint64_t bytes;
	int err;

	if (!vm->balloon)
		return ctl_error_set(
			error, "target",
			"this VM has no balloon; it was started without --balloon");
	err = ctl_number(req, "target", &bytes, error);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (bytes >= vm->cfg->mem_bytes ||
	    balloon_set_target(vm->balloon, bytes))
		return ctl_error_set(
			error, "target",
			"%" PRIu64
			" is not a multiple of %u below the VM's memory, %" PRIu64
			" bytes",
			bytes, MEM_PAGE_SIZE, vm->cfg->mem_bytes);
	return 0;
}

/* As above. */
void vm_do_balloon(struct vm *vm, struct ctl_client *client,
		   const struct ctl_request *req)
{
	struct balloon_state state;
	struct ctl_error error;

	if (set_balloon(vm, req, &error)) {
		ctl_refuse(client, &error);
		return;
	}
	balloon_get(vm->balloon, &state);
	ctl_answer(client,
		   describe_balloon(state.target_bytes, state.actual_bytes));
	vm_news(vm);
}
