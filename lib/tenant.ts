// SPDX-License-Identifier: Apache-2.0

/** Between a tenant and the id that it gives; in no id of a client, a token or the API. */
export const TENANT_SEPARATOR = "/";

/** Tenant of a user by its internal id; "" = the default one. */
export function tenantOf(internalId: string): string {
  const at = internalId.indexOf(TENANT_SEPARATOR);
  return at < 0 ? "" : internalId.slice(0, at);
}
