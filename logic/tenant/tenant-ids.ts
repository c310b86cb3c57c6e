// SPDX-License-Identifier: Apache-2.0
import { TENANT_SEPARATOR } from "#lib/tenant.ts";

/** Name of a tenant; "" = the default one. */
export const TENANT = /^(?:[a-z0-9][a-z0-9-]{0,31})?$/;

/** The id that the rest of the cluster knows: the default tenant's own is the id itself. */
export function internalId(tenant: string, id: string): string {
  return tenant === "" ? id : `${tenant}${TENANT_SEPARATOR}${id}`;
}

/** The id as its tenant knows it; undefined when it is another tenant's. */
export function externalId(tenant: string, internal: string): string | undefined {
  if (tenant === "") return internal.includes(TENANT_SEPARATOR) ? undefined : internal;
  const prefix = `${tenant}${TENANT_SEPARATOR}`;
  return internal.startsWith(prefix) ? internal.slice(prefix.length) : undefined;
}

/** Around the tenant in front of a token's id; in no token's own id. */
export const TENANT_MARK = "\u0001";

/** As {@link internalId} for the claim `jti`, which may be any text without control characters. */
export function internalTokenId(tenant: string, tokenId: string): string {
  return tenant === "" ? tokenId : `${TENANT_MARK}${tenant}${TENANT_MARK}${tokenId}`;
}
