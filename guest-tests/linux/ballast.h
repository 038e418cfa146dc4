/* SPDX-License-Identifier: GPL-2.0-only */
/* Code that makes a program large; every page begins with a function. */
#ifndef LINUX_BALLAST_H
#define LINUX_BALLAST_H

#define BALLAST_PAGES 512

#ifndef __ASSEMBLY__
extern const char ballast[];
#endif

#endif /* LINUX_BALLAST_H */
