// SPDX-License-Identifier: Apache-2.0
import type { ChatVectors } from "./vector-kit.ts";

/** Golden vectors of the chat's commands: one line for each part. */
export const CHAT_VECTORS: readonly ChatVectors[] = [];
