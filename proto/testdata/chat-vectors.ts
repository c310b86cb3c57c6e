// SPDX-License-Identifier: Apache-2.0
import { BROADCAST_VECTORS } from "./broadcast-vectors.ts";
import { CHANGE_VECTORS } from "./change-vectors.ts";
import { CONVERSATION_VECTORS } from "./conversation-vectors.ts";
import { GROUP_VECTORS } from "./group-vectors.ts";
import type { ChatVectors } from "./vector-kit.ts";

/** Golden vectors of the chat's commands: one line for each part. */
export const CHAT_VECTORS: readonly ChatVectors[] = [
  CONVERSATION_VECTORS,
  CHANGE_VECTORS,
  GROUP_VECTORS,
  BROADCAST_VECTORS,
];
