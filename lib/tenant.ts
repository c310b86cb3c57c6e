// SPDX-License-Identifier: Apache-2.0

/** Between a tenant and the id that it gives; in no id of a client, a token or the API. */
export const TENANT_SEPARATOR = "/";

/** Tenant of a user by its internal id; "" = the default one. */
export function tenantOf(internalId: string): string {
  const at = internalId.indexOf(TENANT_SEPARATOR);
  return at < 0 ? "" : internalId.slice(0, at);
}

/** A user's id as its tenant knows it: what is behind the tenant's prefix. Only for who is of that tenant. */
export function idInTenant(internalId: string): string {
  const at = internalId.indexOf(TENANT_SEPARATOR);
  return at < 0 ? internalId : internalId.slice(at + TENANT_SEPARATOR.length);
}
