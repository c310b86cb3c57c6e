// SPDX-License-Identifier: Apache-2.0
import type { GroupRole } from "../store/groups.ts";

/** Content type of the event that tells the members of a group, and those who were, of a change. */
export const GROUP_CONTENT_TYPE = "im/group";

export type GroupEventKind = "created" | "invited" | "removed" | "left" | "role" | "renamed";

/**
 * Content of an event: JSON, so that a client without a codec reads it, too. The sender is who changed it. Ids are as the tenant knows
 * them, for who reads them is of it.
 */
export interface GroupEvent {
  kind: GroupEventKind;
  actor: string;
  /** Whom the change is about; with `created` all members but its maker. */
  users: readonly string[];
  /** Of the group after the change. */
  version: number;
  /** Members after the change. */
  members: number;
  /** From this event on the group is large: its messages are read by HISTORY. Left out: it is not. */
  large?: boolean;
  /** With `created` and `renamed`. */
  name?: string;
  /** With `role`: the new one. With `owner`, the one before became an admin. */
  role?: GroupRole;
  /** With `created`. */
  fromStart?: boolean;
}

export function encodeGroupEvent(event: GroupEvent): Uint8Array {
  return Buffer.from(JSON.stringify(event));
}

/** Of what {@link encodeGroupEvent} made; nobody else writes such events. */
export function decodeGroupEvent(content: Uint8Array): GroupEvent {
  return JSON.parse(Buffer.from(content).toString("utf8")) as GroupEvent;
}
