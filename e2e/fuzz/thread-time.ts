// SPDX-License-Identifier: Apache-2.0

/** Processor time of this thread, ms. A busy machine takes the processor away; that is no stall of our making. */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
