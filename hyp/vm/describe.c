// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/vm/describe.h"

#include <time.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/stats.h"
#include "hyp/vm/commands.h"
#include "hyp/vm/priv.h"

static cJSON *add_string(cJSON *object, const char *name, const char *text)
{
	return text ? cJSON_AddStringToObject(object, name, text) :
		      cJSON_AddNullToObject(object, name);
}

void describe_bytes(cJSON *object, const char *name, uint64_t bytes)
{
	if (bytes)
		ctl_add_u64(object, name, bytes);
	else
		cJSON_AddNullToObject(object, name);
}

void describe_pause(const struct pause_state *pause, cJSON *object)
{
	cJSON *reasons;
	unsigned int i;

	cJSON_AddStringToObject(object, "state",
				!pause->reasons ? "running" :
				pause->settled	? "paused" :
						  "pausing");
	reasons = cJSON_AddArrayToObject(object, "paused_by");
	for (i = 0; i < VM_PAUSE_NR; i++)
		if (pause->reasons >> i & 1)
			cJSON_AddItemToArray(
				reasons, cJSON_CreateString(vm_pause_names[i]));
}

void describe_state(struct vm *vm, cJSON *object)
{
	struct pause_state pause;

	vm_pause_state(vm, &pause);
	describe_pause(&pause, object);
}

void describe_now(cJSON *object)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	ctl_add_u64(object, "timestamp_ms",
		    (uint64_t)now.tv_sec * 1000 +
			    (uint64_t)now.tv_nsec / 1000000);
}

cJSON *describe_share(const struct share *share)
{
	cJSON *out = cJSON_CreateObject();

	ctl_add_u64(out, "min_bytes", share->min_bytes);
	ctl_add_u64(out, "entitlement_bytes", share->entitlement_bytes);
	ctl_add_u64(out, "max_bytes", share->max_bytes);
	ctl_add_u64(out, "weight", share->weight);
	return out;
}

void describe_limit(struct vm *vm, cJSON *object)
{
	struct mem_stats mem;

	mem_get_stats(vm->mem, &mem);
	describe_bytes(object, "limit_bytes", mem.limit * MEM_PAGE_SIZE);
	ctl_add_u64(object, "resident_bytes", mem.resident * MEM_PAGE_SIZE);
}

cJSON *describe_balloon(uint64_t target_bytes, uint64_t actual_bytes)
{
	cJSON *out = cJSON_CreateObject();

	ctl_add_u64(out, "target_bytes", target_bytes);
	ctl_add_u64(out, "actual_bytes", actual_bytes);
	return out;
}

static void add_features(struct vm *vm, cJSON *object)
{
	cJSON *features = cJSON_AddArrayToObject(object, "features");

	if (!vm->cfg->hints)
		return;
	cJSON_AddItemToArray(features, cJSON_CreateString("hints"));
	if (mem_features(vm->mem) & ESSA_FEAT_POTENTIAL)
		cJSON_AddItemToArray(features, cJSON_CreateString("potential"));
	if (vm->cfg->storm)
		cJSON_AddItemToArray(features, cJSON_CreateString("storm"));
	if (vm->cfg->test_hooks)
		cJSON_AddItemToArray(features,
				     cJSON_CreateString("test-hooks"));
}

static void add_disks(struct vm *vm, cJSON *object)
{
	cJSON *disks = cJSON_AddArrayToObject(object, "disks");
	unsigned int i;

	for (i = 0; i < vm->cfg->nr_disks; i++) {
		cJSON *disk = cJSON_CreateObject();

		cJSON_AddStringToObject(disk, "path", vm->cfg->disks[i].path);
		cJSON_AddBoolToObject(disk, "read_only",
				      vm->cfg->disks[i].read_only);
		cJSON_AddItemToArray(disks, disk);
	}
}

static void add_host(struct vm *vm, cJSON *object)
{
	cJSON *host = cJSON_AddArrayToObject(object, "host");
	const char *names[MEM_MAX_HOST];
	unsigned int i, nr = mem_host(vm->mem, names);

	for (i = 0; i < nr; i++)
		cJSON_AddItemToArray(host, cJSON_CreateString(names[i]));
}

static void add_channels(struct vm *vm, cJSON *object)
{
	cJSON *channels = cJSON_AddArrayToObject(object, "channels");
	unsigned int i;

	for (i = 0; i < vm->cfg->nr_channels; i++) {
		struct vcon_state state = vcon_channel_state(vm->vcon, i);
		cJSON *channel = cJSON_CreateObject();

		cJSON_AddStringToObject(channel, "name",
					vm->cfg->channels[i].name);
		cJSON_AddStringToObject(channel, "path",
					vm->cfg->channels[i].path);
		cJSON_AddBoolToObject(channel, "guest", state.guest);
		cJSON_AddBoolToObject(channel, "client", state.client);
		cJSON_AddItemToArray(channels, channel);
	}
}

void vm_do_info(struct vm *vm, struct ctl_client *client,
		const struct ctl_request *req)
{
	cJSON *out = cJSON_CreateObject();

	(void)req;
	cJSON_AddStringToObject(out, "name", vm->cfg->name);
	ctl_add_u64(out, "pid", (uint64_t)getpid());
	cJSON_AddStringToObject(out, "hyp", HYP_VERSION);
	cJSON_AddStringToObject(out, "kernel", vm->cfg->kernel);
	add_string(out, "initrd", vm->cfg->initrd);
	cJSON_AddStringToObject(out, "cmdline", vm->cfg->cmdline);
	ctl_add_u64(out, "cpus", vm->cfg->cpus);
	ctl_add_u64(out, "mem_bytes", vm->cfg->mem_bytes);
	describe_limit(vm, out);
	cJSON_AddItemToObject(out, "share", describe_share(&vm->share));
	add_string(out, "swap_dir", vm->cfg->swap_dir);
	describe_bytes(out, "swap_bytes",
		       vm->cfg->swap_dir ? vm->cfg->swap_bytes : 0);
	add_features(vm, out);
	add_disks(vm, out);
	add_channels(vm, out);
	add_host(vm, out);
	describe_state(vm, out);
	ctl_add_u64(out, "uptime_ms", now_ms() - vm->start_ms);
	ctl_answer(client, out);
}

static void add_counter(void *ctx, const char *name, uint64_t value)
{
	ctl_add_u64(ctx, name, value);
}

static void add_frames(cJSON *object, const struct mem_dist *dist)
{
	static const char *const usages[] = { "S", "U", "V", "P" };
	static const char *const contents[] = { "r", "p", "z" };
	cJSON *frames = cJSON_AddObjectToObject(object, "frames");
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(usages); i++) {
		cJSON *row = cJSON_AddObjectToObject(frames, usages[i]);

		for (j = 0; j < ARRAY_SIZE(contents); j++)
			ctl_add_u64(row, contents[j], dist->n[i][j]);
	}
}

/* What took longest goes up to null: there is no bound to it. */
static void add_ns(cJSON *array, uint64_t ns)
{
	cJSON_AddItemToArray(array, ns == UINT64_MAX ?
					    cJSON_CreateNull() :
					    cJSON_CreateNumber((double)ns));
}

static void add_waits(cJSON *object,
		      const struct mem_latency waits[MEM_NR_WAITS])
{
	cJSON *all = cJSON_AddObjectToObject(object, "waits");
	unsigned int i, b;

	for (i = 0; i < MEM_NR_WAITS; i++) {
		cJSON *kind = cJSON_AddObjectToObject(all, mem_wait_names[i]);
		cJSON *buckets, *pair;

		ctl_add_u64(kind, "count", waits[i].count);
		ctl_add_u64(kind, "sum_ns", waits[i].sum_ns);
		buckets = cJSON_AddArrayToObject(kind, "buckets");
		for (b = 0; b < MEM_LATENCY_BUCKETS; b++) {
			if (!waits[i].bucket[b])
				continue;
			pair = cJSON_CreateArray();
			add_ns(pair, mem_latency_bound(b));
			cJSON_AddItemToArray(
				pair,
				cJSON_CreateNumber((double)waits[i].bucket[b]));
			cJSON_AddItemToArray(buckets, pair);
		}
	}
}

void vm_do_stat(struct vm *vm, struct ctl_client *client,
		const struct ctl_request *req)
{
	cJSON *out = cJSON_CreateObject();
	struct stats s;

	(void)req;
	vm_take_stats(vm, &s);
	cJSON_AddStringToObject(out, "name", vm->cfg->name);
	describe_now(out);
	ctl_add_u64(out, "uptime_ms", s.ms);
	describe_state(vm, out);
	ctl_add_u64(out, "page_bytes", MEM_PAGE_SIZE);
	ctl_add_u64(out, "mem_bytes", vm->cfg->mem_bytes);
	describe_bytes(out, "limit_bytes", s.mem.limit * MEM_PAGE_SIZE);
	add_frames(out, &s.dist);
	stats_each(&s, add_counter, cJSON_AddObjectToObject(out, "counters"));
	add_waits(out, s.waits);
	ctl_answer(client, out);
}
