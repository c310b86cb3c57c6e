// SPDX-License-Identifier: Apache-2.0
import type { MarketStep } from "../walk.ts";
import { block } from "./block.ts";
import { broadcast, urgentBroadcast } from "./broadcast.ts";
import { cardButton } from "./card-button.ts";
import { edit, recall } from "./changes.ts";
import { group } from "./group.ts";
import { itemCard } from "./item-card.ts";
import { kick } from "./kick.ts";
import { notification } from "./notification.ts";
import { orderCard } from "./order-card.ts";
import { contactLeak, strangerLimit } from "./policy.ts";
import { presence } from "./presence.ts";
import { push } from "./push.ts";
import { receipts } from "./receipts.ts";
import { userDeleted } from "./user-deleted.ts";

/** The walk, in its order. */
export const MARKET_STEPS: readonly MarketStep[] = [
  itemCard,
  cardButton,
  orderCard,
  push,
  notification,
  contactLeak,
  strangerLimit,
  broadcast,
  urgentBroadcast,
  block,
  recall,
  edit,
  group,
  receipts,
  presence,
  kick,
  userDeleted,
];
