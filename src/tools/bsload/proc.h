/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.h - what the system says about a process: CPU time, how long it waited for a CPU, memory.
 *
 * The wait is as important as the time: on a machine that others use too, a late answer may be the
 * machine's fault and not the server's.  Linux only; elsewhere, or for a process of somebody else,
 * fields are zero and `known` says so.  Allocates: no.
 */
#ifndef BS_TOOLS_BSLOAD_PROC_H
#define BS_TOOLS_BSLOAD_PROC_H

#include <stdbool.h>
#include <stdint.h>

/** One reading. */
struct proc_sample {
	bool known;
	uint64_t user_ms; /**< CPU time, in the system's ticks of usually 10 ms */
	uint64_t system_ms;
	uint64_t run_ns;  /**< the same, finer: all threads that still live */
	uint64_t wait_ns; /**< ready to run, but no CPU was free */
	uint64_t rss_anon_kb;
	uint64_t rss_shmem_kb;
	uint64_t rss_file_kb;
};

/** Read about a process, all its threads. */
struct proc_sample proc_read(int pid);
/** What was used between two readings; the memory is that of `to`. */
struct proc_sample proc_since(const struct proc_sample *from, const struct proc_sample *to);
/** Bytes of memory that are the process's own: anonymous and shared, no files. */
uint64_t proc_own_bytes(const struct proc_sample *s);
/** Processors of the machine. */
unsigned proc_cpus(void);
/** Bytes of memory that the machine could still give. */
uint64_t proc_memory_available(void);

#endif
