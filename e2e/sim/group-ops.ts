// SPDX-License-Identifier: Apache-2.0
import type { GroupRole } from "../../client/src/models/index.ts";
import type { Device } from "./device.ts";
import type { World } from "./world.ts";

/** How often each is done, of all that is done in groups. */
export const GROUP_OPS = {
  "create a group": 1.5,
  "send to a group": 8,
  "invite to a group": 2,
  "remove from a group": 1.5,
  "leave a group": 0.7,
  "set a role": 0.8,
  "rename a group": 0.5,
};

/** One step in a group. Numbers pick among what there is, modulo its count. */
export interface GroupOp {
  kind: keyof typeof GROUP_OPS;
  device: number;
  to: number;
}

export function isGroupOp(op: { kind: string }): op is GroupOp {
  return op.kind in GROUP_OPS;
}

const ROLES: readonly GroupRole[] = ["admin", "owner", "member", "admin"];
const MAX_GROUPS = 3;
/** An application can ask so long after it was opened. */
const OPENING_MS = 1;

/**
 * Whoever does it opens the application. Mostly it is somebody who may do it; strangers and those who were removed try as
 * well, and are to be refused.
 */
export function performGroupOp(
  world: World,
  { devices, users, hermit }: { devices: readonly Device[]; users: readonly string[]; hermit: string | undefined },
  { kind, device: number, to }: GroupOp,
): void {
  const { groups } = world;
  const isNew = kind === "create a group" || groups.length === 0;
  if (isNew && groups.length >= MAX_GROUPS) return;
  const group = groups[to % Math.max(1, groups.length)];
  const isLead = kind !== "send to a group" && kind !== "leave a group" && to % 4 > 0;
  const able = isLead && !isNew ? devices.filter(({ uid }) => uid === group?.owner) : devices;
  const device = able[number % able.length];
  if (!device) return;
  device.open();
  const others = users.filter((uid) => uid !== device.uid && uid !== hermit);
  const other = others[(to >> 2) % others.length] ?? device.uid;
  world.kernel.after(OPENING_MS, undefined, () => {
    if (isNew || !group) {
      // Not everybody at once: the rest may be invited.
      const named = others.slice(0, 1 + (to % Math.max(1, others.length - 1)));
      device.changeGroup({ do: "create", users: named }, (conv) => groups.push({ conv, owner: device.uid }));
      return;
    }
    const { conv } = group;
    switch (kind) {
      case "invite to a group":
        return device.changeGroup({ do: "invite", conv, users: [other] });
      case "remove from a group":
        return device.changeGroup({ do: "remove", conv, users: [other] });
      case "leave a group":
        return device.changeGroup({ do: "leave", conv });
      case "set a role":
        return device.changeGroup({ do: "role", conv, user: other, role: ROLES[number % ROLES.length] ?? "member" });
      case "rename a group":
        return device.changeGroup({ do: "rename", conv, name: `renamed ${number} ${to}` });
      default:
        return device.send(`#${conv}`);
    }
  });
}
