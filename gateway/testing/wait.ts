// SPDX-License-Identifier: Apache-2.0

const TIMEOUT_MS = 10_000;

/** Polls until `probe` gives something other than undefined, null and false. @throws after 10 s, naming `what` */
export async function waitFor<T>(what: string, probe: () => T | undefined | null | false): Promise<T> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
