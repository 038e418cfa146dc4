// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slow path and the state table, by a guest that writes what it likes into the
 * table: any command with any arguments, memory that it and its devices touch,
 * frames that it gives up, while reclaim has little room.
 */
#include <essa/abi.h>

#include "hyp/fuzz/guest.h"

#define RAM_BYTES   (2u << 20)
#define LIMIT_BYTES (1u << 20)
#define STEPS	    128

static const uint64_t commands[] = {
	ESSA_CMD_ENABLE,
	ESSA_CMD_DISABLE,
	ESSA_CMD_WAIT,
	ESSA_CMD_ARM,
	ESSA_CMD_TEST_DISCARD,
	ESSA_CMD_TEST_PAGE_OUT,
	ESSA_CMD_OP,
	ESSA_CMD_OP + ESSA_OP_SET_STABLE,
	ESSA_CMD_OP + ESSA_OP_SET_UNUSED,
	ESSA_CMD_OP + ESSA_OP_SET_VOLATILE,
	ESSA_CMD_OP + ESSA_OP_SET_POTENTIAL,
	ESSA_CMD_OP + ESSA_OP_SET_STABLE_RESIDENT,
	ESSA_CMD_OP + ESSA_OP_SET_STABLE_IF_KEPT,
};

static void call(struct mem *mem, struct input *in, bool hooks)
{
	uint8_t which = take_byte(in);
	uint64_t cmd = which < 0xf0 ? commands[which % (sizeof(commands) /
							sizeof(commands[0]))] :
				      take_quad(in);
	uint64_t gfn, nr;

	if (cmd == ESSA_CMD_ENABLE && which & 0x80) {
		gfn = ESSA_VERSION;
		nr = mem_features(mem);
	} else {
		gfn = take_number(in, RAM_BYTES / MEM_PAGE_SIZE);
		nr = take_number(in, ESSA_CMD_MAX_FRAMES);
	}
	mem_hypercall(mem, cmd, gfn, nr, hooks);
}

static void touch(struct mem *mem, struct input *in, bool write)
{
	uint64_t gpa = take_number(in, RAM_BYTES) << (take_byte(in) & 12);
	size_t len = take_word(in);
	void *buf = calloc(1, len ? len : 1);

	must(buf);
	if (write)
		mem_write(mem, gpa, buf, len);
	else
		mem_read(mem, gpa, buf, len);
	free(buf);
}

static void scribble(struct mem *mem, struct input *in)
{
	uint64_t nr_frames, first, i;
	size_t bytes;
	uint8_t *table = mem_table(mem, &bytes, &nr_frames);
	uint8_t value = take_byte(in);
	unsigned int nr = take_byte(in) % 65;

	first = take_word(in) % nr_frames;
	for (i = first; i < nr_frames && i - first < nr; i++)
		__atomic_store_n(&table[i], value, __ATOMIC_SEQ_CST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	uint8_t flags = take_byte(&in);
	struct mem *mem = guest_create((struct mem_config){
		.size_bytes = RAM_BYTES,
		.limit_bytes = flags & 1 ? LIMIT_BYTES : 0,
		.swap_dir = "/tmp",
		.swap_bytes = RAM_BYTES,
		.hinting = flags & 2,
		.potential = flags & 4,
		.storm = flags & 8,
	});
	unsigned int i;

	for (i = 0; i < STEPS && in.len; i++) {
		uint8_t what = take_byte(&in);

		switch (what % 8) {
		case 0:
		case 1:
			scribble(mem, &in);
			break;
		case 2:
		case 3:
			touch(mem, &in, what & 1);
			break;
		case 4:
			mem_give_up(mem,
				    take_number(&in, RAM_BYTES / MEM_PAGE_SIZE),
				    take_number(&in, 64));
			break;
		default:
			call(mem, &in, flags & 16);
		}
		guest_check(mem);
	}
	guest_destroy(mem);
	return 0;
}
