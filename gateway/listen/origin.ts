// SPDX-License-Identifier: Apache-2.0

/**
 * May a page of this origin connect here? Only browsers send Origin, and they send it always; other clients are
 * not concerned. Allowed are the origin of the host that was asked, and those of the list, letter by letter: no prefix,
 * no suffix, no wildcard. Nothing here goes by cookies, so a stranger's page has nothing to steal; this is the second lock.
 */
export function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: ReadonlySet<string>,
): boolean {
  if (origin === undefined || allowed.has(origin)) return true;
  if (host === undefined) return false;
  const own = host.toLowerCase();
  return origin === `https://${own}` || origin === `http://${own}`;
}
