// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory of one VM: life cycle.  RAM is one private anonymous mapping
 * without a hole (KSM could merge it unless writes are tracked; fork() does not
 * copy it); the guest sees what is above 3 GiB from 4 GiB on.  Huge pages are
 * off: the unit of every decision here is the 4 KiB frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/mem/content.h"
#include "hyp/mem/host.h"
#include "hyp/mem/pager.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/uffd.h"

/* Below this even pins and the batches in flight do not fit. */
#define MEM_MIN_LIMIT 256u
#define MEM_MAX_BYTES (1ull << 40)

void mem_fatal(struct mem *mem, int err, const char *what)
{
	if (atomic_exchange(&mem->failed, true))
		return;
	if (mem->cfg.fatal)
		mem->cfg.fatal(mem->cfg.ctx, err, what);
	/* Charges that wait for room will not get it, nor who waits for reads. */
	limit_idle_round(mem);
	trouble_stop(mem);
}

int mem_frame_of_gfn(const struct mem *mem, uint64_t gfn, uint64_t nr,
		     uint64_t *idx)
{
	uint64_t skipped = 0;
	unsigned int i;

	for (i = 0; i < mem->nr_regions; i++) {
		const struct mem_region *r = &mem->regions[i];
		uint64_t first = r->gpa >> MEM_PAGE_SHIFT;
		uint64_t frames = r->size_bytes >> MEM_PAGE_SHIFT;

		if (gfn >= first && gfn - first < frames) {
			if (!nr || nr > frames - (gfn - first))
				return -EINVAL;
			*idx = skipped + (gfn - first);
			return 0;
		}
		skipped += frames;
	}
	return -EINVAL;
}

static int check_limit(const struct mem *mem, uint64_t limit_bytes)
{
	uint64_t frames = limit_bytes >> MEM_PAGE_SHIFT;

	if (limit_bytes % MEM_PAGE_SIZE)
		return -EINVAL;
	if (limit_bytes && (frames < MEM_MIN_LIMIT || frames > mem->nr_frames))
		return -EINVAL;
	return 0;
}

static void set_limit(struct mem *mem, uint64_t limit_bytes)
{
	limit_set(mem,
		  limit_bytes ? limit_bytes >> MEM_PAGE_SHIFT : UINT64_MAX);
}

static int map_ram(struct mem *mem, const char **why)
{
	size_t len = mem->cfg.size_bytes;
	size_t low = len < MEM_HOLE_START ? len : MEM_HOLE_START;
	void *p;

	*why = "cannot reserve guest memory: choose a smaller --mem";
	p = content_map(len);
	if (!p)
		return -ENOMEM;
	mem->ram = p;
	mem->regions[0] = (struct mem_region){
		.gpa = 0,
		.size_bytes = low,
		.hva = p,
	};
	mem->nr_regions = 1;
	if (len > low) {
		mem->regions[1] = (struct mem_region){
			.gpa = MEM_HOLE_END,
			.size_bytes = len - low,
			.hva = mem->ram + low,
		};
		mem->nr_regions = 2;
	}
	return 0;
}

static int map_table(struct mem *mem, const char **why)
{
	const size_t mask = MEM_PAGE_SIZE - 1;
	unsigned int i;
	void *p;

	mem->nr_gfns = mem_gfn(mem, mem->nr_frames - 1) + 1;
	mem->table_bytes = (mem->nr_gfns + mask) & ~mask;
	*why = "cannot map the state table";
	p = mmap(NULL, mem->table_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	mem->table = p;
	/* What belongs to no frame of RAM gets no memory either. */
	for (i = 0; i < mem->nr_regions; i++)
		memset(&mem->table[mem->regions[i].gpa >> MEM_PAGE_SHIFT],
		       ESSA_STABLE | ESSA_ZERO,
		       mem->regions[i].size_bytes >> MEM_PAGE_SHIFT);
	return 0;
}

static int open_fds(struct mem *mem, const char **why)
{
	int err;

	err = uffd_open(&mem->uffd, &mem->track.offered, why);
	if (err)
		return err;
	/* A page that KSM merges loses its write protection (mm/ksm.c). */
	if (mem->track.offered || !uffd_can_move())
		madvise(mem->ram, mem->cfg.size_bytes, MADV_UNMERGEABLE);
	err = uffd_register(mem->uffd, mem->ram, mem->cfg.size_bytes,
			    mem->track.offered, why);
	if (err)
		return err;
	*why = "too many open files";
	mem->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mem->stop_fd < 0)
		return -errno;
	mem->self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	discard_probe(mem);
	return 0;
}

static int check_config(const struct mem_config *cfg, const char **why)
{
	*why = "guest memory must be a multiple of 4 KiB, from 1 MiB to 1 TiB";
	if (cfg->size_bytes % MEM_PAGE_SIZE ||
	    cfg->size_bytes > MEM_MAX_BYTES ||
	    cfg->size_bytes < MEM_MIN_LIMIT * MEM_PAGE_SIZE)
		return -EINVAL;
	return 0;
}

static int create_swap(struct mem *mem, const char **why)
{
	int err;

	err = swap_create(&mem->swap, mem->cfg.swap_dir, mem->cfg.swap_bytes,
			  why);
	if (err)
		return err;
	pageout_open(mem);
	*why = "out of memory";
	err = fill_init(&mem->fill_buffer);
	return err ? err : pagein_init(mem, why);
}

int mem_create(struct mem **out, const struct mem_config *cfg, const char **why)
{
	struct mem *mem;
	int err;

	err = check_config(cfg, why);
	if (err)
		return err;
	mem = aligned_alloc(64, (sizeof(*mem) + 63) / 64 * 64);
	*why = "out of memory";
	if (!mem)
		return -ENOMEM;
	memset(mem, 0, sizeof(*mem));
	mem->cfg = *cfg;
	mem->nr_frames = cfg->size_bytes >> MEM_PAGE_SHIFT;
	mem->track.offered = cfg->hinting && cfg->potential;
	mem->uffd = -1;
	mem->stop_fd = -1;
	mem->self_fd = -1;
	limit_init(&mem->limit);
	trouble_init(&mem->trouble);
	pageout_init(mem);
	*why = "the resident limit must be a multiple of 4 KiB, from 1 MiB to the guest's memory";
	err = check_limit(mem, cfg->limit_bytes);
	if (err)
		goto err_destroy;
	set_limit(mem, cfg->limit_bytes);
	err = host_check(why);
	if (err)
		goto err_destroy;
	*why = "out of memory";
	err = frames_init(mem);
	if (!err)
		err = reclaim_init(mem);
	if (!err)
		err = track_init(mem);
	if (!err)
		err = refault_init(mem);
	if (!err)
		err = map_ram(mem, why);
	if (!err)
		err = map_table(mem, why);
	if (!err)
		err = open_fds(mem, why);
	if (!err)
		err = probation_init(mem, why);
	if (!err && cfg->swap_dir)
		err = create_swap(mem, why);
	if (err)
		goto err_destroy;
	mem->cfg.swap_dir = NULL; /* the caller's */
	*out = mem;
	return 0;

err_destroy:
	mem_destroy(mem);
	return err;
}

static int start_thread(pthread_t *out, const char *name,
			void *(*fn)(void *arg), void *arg)
{
	int err = pthread_create(out, NULL, fn, arg);

	if (!err)
		pthread_setname_np(*out, name);
	return -err;
}

int mem_start(struct mem *mem)
{
	int err;

	if (!mem->cfg.start_thread)
		mem->cfg.start_thread = start_thread;
	err = mem->cfg.start_thread(&mem->pager_thread, "pager", pager_thread,
				    mem);
	if (err)
		return err;
	err = mem->cfg.start_thread(&mem->reclaim_thread, "reclaim",
				    reclaim_thread, mem);
	if (err) {
		atomic_store(&mem->stopping, true);
		eventfd_write(mem->stop_fd, 1);
		pthread_join(mem->pager_thread, NULL);
		return err;
	}
	mem->started = true;
	return 0;
}

void mem_stop(struct mem *mem)
{
	atomic_store(&mem->stopping, true);
	limit_stop(mem);
	trouble_stop(mem);
	frames_stop(mem);
	eventfd_write(mem->stop_fd, 1);
	if (!mem->started)
		return;
	pthread_join(mem->reclaim_thread, NULL);
	pthread_join(mem->pager_thread, NULL);
	mem->started = false;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void mem_destroy(struct mem *mem)
{
	if (!mem)
		return;
	pagein_fini(mem);
	fill_fini(&mem->fill_buffer);
	pageout_fini(mem);
	swap_destroy(mem->swap);
	close_fd(mem->self_fd);
	close_fd(mem->stop_fd);
	close_fd(mem->uffd);
	if (mem->table)
		munmap(mem->table, mem->table_bytes);
	content_unmap(mem->ram, mem->cfg.size_bytes);
	probation_fini(mem);
	refault_fini(mem);
	track_fini(mem);
	reclaim_fini(mem);
	frames_fini(mem);
	trouble_fini(&mem->trouble);
	limit_fini(&mem->limit);
	free(mem);
}

unsigned int mem_regions(const struct mem *mem, const struct mem_region **out)
{
	*out = mem->regions;
	return mem->nr_regions;
}

void *mem_table(const struct mem *mem, size_t *len_bytes, uint64_t *nr_frames)
{
	*len_bytes = mem->table_bytes;
	*nr_frames = mem->nr_gfns;
	return mem->table;
}

int mem_set_limit(struct mem *mem, uint64_t limit_bytes)
{
	int err = check_limit(mem, limit_bytes);

	if (err)
		return err;
	set_limit(mem, limit_bytes);
	mem_retry(mem);
	return 0;
}
