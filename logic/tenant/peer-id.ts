// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { idInTenant, TENANT_SEPARATOR, tenantOf } from "#lib/tenant.ts";
import { isUserId } from "../token/verify.ts";
import { internalId, TENANT } from "./tenant-ids.ts";

/**
 * May this user name that one? Every handler asks it about every id that a client names: it holds for well-formed ids of the user's own
 * tenant only, whoever forgot to translate them. What it refuses is answered as text that is no id, whether somebody has the id or not.
 * @param self internal id of who asks
 */
export function isPeerId(self: string, id: string): boolean {
  const tenant = tenantOf(self);
  return tenant === "" ? isUserId(id) : tenantOf(id) === tenant && isUserId(idInTenant(id));
}

/** Is it the internal id of a user, of whatever tenant? For administrators, who name them so. */
export function isInternalId(id: string): boolean {
  const tenant = tenantOf(id);
  return TENANT.test(tenant) && isUserId(idInTenant(id)) && internalId(tenant, idInTenant(id)) === id;
}

/** @throws {ImError} BAD_REQUEST when it is not {@link isInternalId} */
export function requireInternalId(id: string): void {
  if (!isInternalId(id)) throw new ImError(ErrorCode.BAD_REQUEST, NO_INTERNAL_ID);
}

const NO_INTERNAL_ID =
  "user_id is no user id: 1-64 of letters, digits and _.:@-, behind the name of a tenant and / unless of the default one";

/** Characters by which internal ids of this user's tenant are longer than those that clients write. */
export function prefixChars(self: string): number {
  const tenant = tenantOf(self);
  return tenant === "" ? 0 : tenant.length + TENANT_SEPARATOR.length;
}
