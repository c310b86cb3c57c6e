// SPDX-License-Identifier: Apache-2.0
// Messages of presence: apart from the others, as the base bundle does without them.
import { bool, type Decoded, int64, many, message, string, strings, uint32 } from "./codec-fields.ts";

export const PresenceSub = message({ userIds: strings(1) });
export type PresenceSub = Decoded<typeof PresenceSub>;

export const PresenceAsk = message({ userIds: strings(1) });
export type PresenceAsk = Decoded<typeof PresenceAsk>;

export const PeerPresence = message({
  userId: string(1),
  online: bool(2),
  platforms: strings(3),
  lastSeenMs: int64(4),
});
export type PeerPresence = Decoded<typeof PeerPresence>;

export const Presence = message({ peers: many(1, PeerPresence), leaseMs: uint32(2) });
export type Presence = Decoded<typeof Presence>;
