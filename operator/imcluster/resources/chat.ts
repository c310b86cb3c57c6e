// SPDX-License-Identifier: Apache-2.0
import type { ChatSpec } from "../../api/v1alpha1.ts";
import { durationMs } from "../units.ts";
import { configMapMount, type EnvVar, type Mount, secretMount } from "./pod-parts.ts";

const CARD_KEYS_DIR = "/etc/imcluster/card-keys";
const CARD_ACTIONS_DIR = "/etc/imcluster/card-actions";
const POLICY_DIR = "/etc/imcluster/policy";
const HOOKS_DIR = "/etc/imcluster/hooks";

/** Files of the chat that logic reads. It follows the card keys and the policy, so that no pod rolls for them. */
export function chatMounts({ cards, policy }: ChatSpec): Mount[] {
  const { keysSecretRef: keys, actions } = cards ?? {};
  const secret = actions?.secretRef;
  const rules = policy?.configMapRef;
  return [
    ...(keys ? [secretMount("card-keys", keys.name, CARD_KEYS_DIR, { [keys.key]: "keys" })] : []),
    ...(secret ? [secretMount("card-actions", secret.name, CARD_ACTIONS_DIR, { [secret.key]: "secret" })] : []),
    ...(rules ? [configMapMount("policy", rules.name, POLICY_DIR, { [rules.key]: "policy.json" })] : []),
  ];
}

/** Settings of the chat in logic. */
export function chatEnv({
  recallWindow,
  editWindow,
  maxGroupMembers,
  maxItemConversations,
  conversations,
  cards,
  policy,
}: ChatSpec): EnvVar[] {
  const actions = cards?.actions;
  return [
    { name: "IM_RECALL_WINDOW_MS", value: String(durationMs(recallWindow)) },
    { name: "IM_EDIT_WINDOW_MS", value: String(durationMs(editWindow)) },
    { name: "IM_MAX_GROUP_MEMBERS", value: String(maxGroupMembers) },
    { name: "IM_MAX_ITEM_CONVERSATIONS", value: String(maxItemConversations) },
    { name: "IM_CONVERSATIONS", value: conversations === "PerItem" ? "per_item" : "per_peer" },
    ...(cards ? [{ name: "IM_CARD_KEYS_FILE", value: `${CARD_KEYS_DIR}/keys` }] : []),
    ...(actions
      ? [
          { name: "IM_CARD_ACTION_URL", value: actions.url },
          { name: "IM_CARD_ACTION_SECRET_FILE", value: `${CARD_ACTIONS_DIR}/secret` },
        ]
      : []),
    ...(policy ? [{ name: "IM_POLICY_FILE", value: `${POLICY_DIR}/policy.json` }] : []),
  ];
}

/** The hooks, which logic asks and extlogic tells; both follow the file. */
export function hooksMounts({ hooks }: ChatSpec): Mount[] {
  if (!hooks) return [];
  const { name, key } = hooks.secretRef;
  return [secretMount("hooks", name, HOOKS_DIR, { [key]: "hooks.json" })];
}

/** Settings of whatever calls backends of the shop. */
export function hooksEnv({ hooks, webhookAllowedNetworks: networks }: ChatSpec): EnvVar[] {
  return [
    ...(hooks ? [{ name: "IM_HOOKS_FILE", value: `${HOOKS_DIR}/hooks.json` }] : []),
    ...(networks?.length ? [{ name: "IM_WEBHOOK_ALLOWED_NETWORKS", value: networks.join(",") }] : []),
  ];
}
