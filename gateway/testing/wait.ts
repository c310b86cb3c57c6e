// SPDX-License-Identifier: Apache-2.0

/** Only a bound: a busy machine may leave a test without a CPU for long. */
const TIMEOUT_MS = 60_000;

/** Polls until `probe` gives something other than undefined, null and false. @throws after 60 s, naming `what` */
export async function waitFor<T>(what: string, probe: () => T | undefined | null | false): Promise<T> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
