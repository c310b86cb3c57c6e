// SPDX-License-Identifier: Apache-2.0
import type { GroupRole } from "../store/groups.ts";

/** Who gets a group whose owner is deleted: an admin if there is one, the first by id. Undefined: nobody else is in it. */
export function heirOf(roles: ReadonlyMap<string, GroupRole>, leaving: string): string | undefined {
  const others = [...roles].filter(([userId]) => userId !== leaving).sort(([a], [b]) => (a < b ? -1 : 1));
  const admin = others.find(([, role]) => role === "admin");
  return (admin ?? others[0])?.[0];
}
