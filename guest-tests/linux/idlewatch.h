/* SPDX-License-Identifier: GPL-2.0-only */
/* What idlewatch writes to its disk, for the program that reads it there. */
#ifndef LINUX_IDLEWATCH_H
#define LINUX_IDLEWATCH_H

/* Sectors below are marks; samples are behind, one slot each. */
#define SAMPLES_SECTOR 64

/* A slot: one bit a frame, a multiple of 4 KiB. */
#define SAMPLE_BYTES(frames) ((((frames) + 7) / 8 + 4095) / 4096 * 4096)

#endif /* LINUX_IDLEWATCH_H */
