// SPDX-License-Identifier: Apache-2.0
// What the demo's shop has of its own: a key of the server API, a key that signs cards, and the rules that messages pass.
import { hash, randomBytes } from "node:crypto";
import { signCard } from "../../logic/changes/card.ts";
import { type CardKey, parseCardKeys } from "../../logic/changes/card-keys.ts";
import { makeKey, SCOPES } from "../../logic/server-api/api-key.ts";
import { DEMO_LABELS, DEMO_NAMESPACE } from "./demo.ts";
import { ensureSecret, readSecret } from "./ensure-secret.ts";
import type { KubeTools } from "./kube-tools.ts";
import { PUSH_SANDBOX, SHOP_ACTIONS } from "./push-sandbox.ts";

/** Secret and ConfigMap of the demo's shop. */
export const SHOP = "demo-shop";
const API_KEYS = "api-keys.json";
const CARD_KEYS = "card-keys";
const RULES = "rules.json";

/** What the shop's backend works with. */
export interface ShopAccess {
  /** Of the server API, with every scope. */
  readonly apiKey: string;
  readonly cardKey: CardKey;
}

/** How much somebody may say who is not answered: the demo page's button "Send 50" passes once, and not twice. */
export const MAX_UNANSWERED = 60;

/** Messages that the demo bounces. */
export const DEMO_RULES = {
  version: 1,
  rules: [
    {
      id: "contacts",
      kind: "contact",
      verdict: "bounce",
      finds: ["phone", "wechat", "qq"],
      window: { messages: 4, seconds: 120 },
      unlessOrder: true,
      explanation: "请在平台内交易 · Please keep contacts out of the chat until there is an order",
    },
    {
      id: "strangers",
      kind: "stranger",
      verdict: "bounce",
      maxUnanswered: MAX_UNANSWERED,
      explanation: "请等待对方回复 · Please wait for an answer before you write more",
    },
  ],
} as const;

/** What the demo's spec says of the shop. */
export interface ShopSpec {
  /** Of `spec.logic`. */
  readonly logic: { readonly serverApi: object; readonly podTemplate: object };
  readonly chat: object;
}

/**
 * `sandboxAddress` is that of the sandbox's Service. `files` are what the pods mount: with others the pods are made anew, as a kubelet may take more than a
 * minute to bring a changed file, and the demo is to be as it says when `make up` ends.
 */
export function shopSpec(sandboxAddress: string, files: readonly string[]): ShopSpec {
  const range = sandboxAddress.includes(":") ? `${sandboxAddress}/128` : `${sandboxAddress}/32`;
  return {
    logic: {
      serverApi: { keysSecretRef: { name: SHOP, key: API_KEYS } },
      podTemplate: { annotations: { [`${SHOP}/files`]: hash("sha256", files.join("\0")).slice(0, 16) } },
    },
    chat: {
      cards: { keysSecretRef: { name: SHOP, key: CARD_KEYS }, actions: SHOP_ACTIONS },
      policy: { configMapRef: { name: SHOP, key: RULES } },
      webhookAllowedNetworks: [range],
    },
  };
}

interface ApiKeyEntry {
  key: string;
  name: string;
  scopes: readonly string[];
}

/** The file of API keys: the one that is there, if any, with every scope that there is now. */
function apiKeyFile(known: string | undefined): string {
  const [entry] = known === undefined ? [] : (JSON.parse(known) as ApiKeyEntry[]);
  return JSON.stringify([
    { key: entry?.key ?? makeKey().text, name: "demo shop", scopes: SCOPES } satisfies ApiKeyEntry,
  ]);
}

const cardKeyFile = (known: string | undefined): string => known ?? `demo ${randomBytes(32).toString("base64")}\n`;

/** Makes the shop's keys and rules in the demo's namespace, which must exist; resolves with what the demo's spec says of them. */
export async function applyShop(tools: KubeTools): Promise<ShopSpec> {
  const keys = await ensureSecret(tools, SHOP, { [API_KEYS]: apiKeyFile, [CARD_KEYS]: cardKeyFile });
  const metadata = { name: SHOP, namespace: DEMO_NAMESPACE, labels: DEMO_LABELS };
  const data = { [RULES]: JSON.stringify(DEMO_RULES, undefined, 2) };
  const input = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data });
  await tools.kubectl(["apply", "-f", "-"], { input });
  const service = await tools.getJson<{ spec: { clusterIP: string } }>(["service", PUSH_SANDBOX, "-n", DEMO_NAMESPACE]);
  return shopSpec(service.spec.clusterIP, [keys[API_KEYS] ?? "", keys[CARD_KEYS] ?? "", data[RULES]]);
}

/** The keys of the running demo. @throws Error when it has none: it was brought up by an older version */
export async function shopAccess(tools: KubeTools): Promise<ShopAccess> {
  const { [API_KEYS]: apiKeys, [CARD_KEYS]: cardKeys } = (await readSecret(tools, SHOP)) ?? {};
  const [entry] = JSON.parse(apiKeys ?? "[]") as ApiKeyEntry[];
  const [cardKey] = cardKeys === undefined ? [] : parseCardKeys(cardKeys);
  if (!entry || !cardKey) throw new Error(`the demo has no Secret ${SHOP} with keys: run \`make up\` again`);
  return { apiKey: entry.key, cardKey };
}

/** A card of an item, signed by the shop, for the demo page to ask about. */
export function sampleItemCard(cardKey: CardKey): string {
  const snapshot = { title: "自行车 City bike 🚲", priceCents: 120_000, currency: "CNY", condition: "九成新" };
  const actions = [{ id: "reserve", label: "预留 Reserve" }];
  return signCard({ type: "item", ref: "bike-1", version: 1, snapshot, actions }, cardKey);
}
