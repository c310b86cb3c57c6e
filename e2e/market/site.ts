// SPDX-License-Identifier: Apache-2.0
import type { CardKey } from "../../logic/changes/card-keys.ts";
import type { LoggedPush } from "../smoke/pushes.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";

/** A call of the server API. */
export interface ApiCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: object;
  /** Default: a new one for each call that is no GET. */
  readonly idempotencyKey?: string;
}

/** What it was answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Where the walk takes place: a cluster behind its load balancer, or processes on loopback. */
export interface MarketSite {
  /** Ways in for clients; devices take them in turn. */
  readonly targets: readonly ClientTarget[];
  /** What the shop's backend signs cards with. */
  readonly cardKey: CardKey;
  /** A token as the shop's backend mints it. */
  getToken(userId: string): Promise<string>;
  /** With a key that has every scope. */
  callApi(call: ApiCall): Promise<ApiAnswer>;
  /** What the push provider was told since the walk began, in order. */
  pushes(): Promise<readonly LoggedPush[]>;
}
