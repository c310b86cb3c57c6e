// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CardKey } from "../../logic/changes/card-keys.ts";
import { SCOPES } from "../../logic/server-api/api-key.ts";
import { DEMO_RULES } from "../../scripts/up/shop.ts";
import { type Fleet, type FleetOptions, SERVER_NAME } from "../harness/fleet.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { callApi, createApiKey } from "../process/api-caller.ts";
import { startShopSandbox } from "../sandbox/shop.ts";
import { startWebhookSandbox, type WebhookSandbox } from "../sandbox/webhook.ts";
import type { MarketSite } from "./site.ts";

const PUSH_SECRET = "of the push provider and the cluster";
const SHOP_SECRET = "of the shop and the cluster";

/** What has to be there before the fleet is, and how the fleet is to be started. */
export interface MarketGround {
  readonly options: FleetOptions;
  readonly cardKey: CardKey;
  readonly apiPort: number;
  readonly provider: WebhookSandbox;
  close(): Promise<void>;
}

/** Keys, a push provider, a shop, a free port. */
export async function prepareGround(): Promise<MarketGround> {
  const folder = temporaryFolder("im-market-");
  const cardKey = { id: "market", secret: randomBytes(32) };
  writeFileSync(join(folder, "card-keys"), `${cardKey.id} ${cardKey.secret.toString("base64")}\n`);
  writeFileSync(join(folder, "rules.json"), JSON.stringify(DEMO_RULES));
  const [apiPort, provider] = [await freePort(), await startWebhookSandbox({ secret: PUSH_SECRET })];
  const shop = await startShopSandbox({ secret: SHOP_SECRET });
  const options: FleetOptions = {
    ...{ entries: 2, logics: 1, extlogics: 1, internalTls: true },
    env: { IM_PING_INTERVAL_MS: "2000" },
    logicEnv: {
      IM_API_PORT: String(apiPort),
      IM_CARD_KEYS_FILE: join(folder, "card-keys"),
      ...{ IM_CARD_ACTION_URL: shop.url, IM_CARD_ACTION_SECRET: SHOP_SECRET },
      IM_POLICY_FILE: join(folder, "rules.json"),
      IM_WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
      IM_PRESENCE_VISIBLE_TO: "peers",
    },
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: provider.url, IM_PUSH_WEBHOOK_SECRET: PUSH_SECRET },
  };
  return {
    ...{ options, cardKey, apiPort, provider },
    async close() {
      await Promise.all([provider.close(), shop.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The walk's site on a fleet of local processes. */
export async function fleetSite(fleet: Fleet, { cardKey, apiPort, provider }: MarketGround): Promise<MarketSite> {
  const key = await createApiKey(fleet.postgresUrl, SCOPES);
  const trust = { ca: fleet.ca, servername: SERVER_NAME };
  const [first, second] = [fleet.entry(0).tlsPort, fleet.entry(1).tlsPort];
  return {
    targets: [
      { url: `tls://127.0.0.1:${first}`, ...trust },
      { url: `wss://127.0.0.1:${second}/ws`, ...trust },
      { url: `sse+https://127.0.0.1:${first}`, ...trust },
    ],
    cardKey,
    getToken: (userId) => fleet.tokens.mint(userId),
    callApi: (call) => callApi(apiPort, { ...call, key }),
    pushes: () => Promise.resolve(provider.pushes.map((push) => ({ ...push, receivedAtMs: 0 }))),
  };
}
