// SPDX-License-Identifier: Apache-2.0
import { idInTenant, TENANT_SEPARATOR, tenantOf } from "#lib/tenant.ts";
import { isUserId } from "../token/verify.ts";

/**
 * May this user name that one? Every handler asks it about every id that a client names: it holds for well-formed ids of the user's own
 * tenant only, whoever forgot to translate them. What it refuses is answered as text that is no id, whether somebody has the id or not.
 * @param self internal id of who asks
 */
export function isPeerId(self: string, id: string): boolean {
  const tenant = tenantOf(self);
  return tenant === "" ? isUserId(id) : tenantOf(id) === tenant && isUserId(idInTenant(id));
}

/** Characters by which internal ids of this user's tenant are longer than those that clients write. */
export function prefixChars(self: string): number {
  const tenant = tenantOf(self);
  return tenant === "" ? 0 : tenant.length + TENANT_SEPARATOR.length;
}
