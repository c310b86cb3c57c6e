// SPDX-License-Identifier: Apache-2.0
import { BROADCAST_MUTANTS } from "./list-broadcasts.ts";
import { CHAT_MUTANTS } from "./list-chat.ts";
import { DELIVERY_MUTANTS } from "./list-delivery.ts";
import { MARKET_MUTANTS } from "./list-market.ts";
import { MESSAGE_MUTANTS } from "./list-messages.ts";
import { SAFETY_MUTANTS } from "./list-safety.ts";
import { SESSION_MUTANTS } from "./list-sessions.ts";
import type { Mutant } from "./mutant.ts";

/** Every planted bug of `make mutants`. */
export const MUTANTS: readonly Mutant[] = [
  ...MESSAGE_MUTANTS,
  ...SESSION_MUTANTS,
  ...DELIVERY_MUTANTS,
  ...CHAT_MUTANTS,
  ...BROADCAST_MUTANTS,
  ...SAFETY_MUTANTS,
  ...MARKET_MUTANTS,
];
