// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/kvm/kvmstats.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_NAME 64

/* In the summary with "kvm_" in front. */
const char *const kvmstats_names[KVMSTATS_NR] = {
	"exits",      "io_exits",  "mmio_exits",
	"halt_exits", "irq_exits", "signal_exits",
	"hypercalls", "pf_taken",  "irq_injections",
};

static void find(struct kvmstats *ks, const struct kvm_stats_header *header)
{
	struct {
		struct kvm_stats_desc head;
		char name[MAX_NAME];
	} desc;
	const size_t stride = sizeof(desc.head) + header->name_size;
	uint32_t i, j;

	if (header->name_size > MAX_NAME)
		return;
	for (i = 0; i < header->num_desc; i++) {
		if (pread(ks->fd, &desc, stride,
			  (off_t)(header->desc_offset + i * stride)) !=
		    (ssize_t)stride)
			return;
		desc.name[MAX_NAME - 1] = '\0';
		for (j = 0; j < KVMSTATS_NR; j++)
			if (!strcmp(desc.name, kvmstats_names[j]))
				ks->offsets[j] = (uint64_t)header->data_offset +
						 desc.head.offset;
	}
}

void kvmstats_open(struct kvmstats *ks, int vcpu_fd)
{
	struct kvm_stats_header header;

	*ks = (struct kvmstats){ .fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, 0) };
	if (ks->fd < 0)
		return;
	ks->any = 1;
	if (pread(ks->fd, &header, sizeof(header), 0) == sizeof(header))
		find(ks, &header);
}

void kvmstats_close(struct kvmstats *ks)
{
	if (ks->any)
		close(ks->fd);
	ks->any = 0;
}

void kvmstats_add(const struct kvmstats *ks, uint64_t sum[KVMSTATS_NR])
{
	uint64_t value;
	unsigned int i;

	for (i = 0; ks->any && i < KVMSTATS_NR; i++)
		if (ks->offsets[i] &&
		    pread(ks->fd, &value, sizeof(value),
			  (off_t)ks->offsets[i]) == sizeof(value))
			sum[i] += value;
}
