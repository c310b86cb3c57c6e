// SPDX-License-Identifier: Apache-2.0
import { ref } from "./sample-ref.ts";
import type { Wrong } from "./wrong-specs.ts";

const actions = (url: string) => ({ chat: { cards: { keysSecretRef: ref, actions: { url, secretRef: ref } } } });

/** Windows, cards, rules and hooks. */
export const WRONG_CHATS: readonly Wrong[] = [
  {
    what: "recall window in words",
    spec: { chat: { recallWindow: "two minutes" } },
    field: "spec.chat.recallWindow",
    remedy: /a duration such as 2m/,
  },
  {
    what: "recall window of two months",
    spec: { chat: { recallWindow: "1440h" } },
    field: "spec.chat.recallWindow",
    remedy: /between 0s and 720h/,
  },
  {
    what: "edit window below nothing",
    spec: { chat: { editWindow: "-1m" } },
    field: "spec.chat.editWindow",
    remedy: /a duration such as 15m/,
  },
  {
    what: "groups of a whole town",
    spec: { chat: { maxGroupMembers: 20_001 } },
    field: "spec.chat.maxGroupMembers",
    remedy: /between 2 and 20000/,
  },
  {
    what: "conversations about everything there is",
    spec: { chat: { maxItemConversations: 10_001 } },
    field: "spec.chat.maxItemConversations",
    remedy: /between 1 and 10000/,
  },
  {
    what: "buttons of cards that nobody can sign",
    spec: { chat: { cards: { actions: { url: "https://shop.example/b", secretRef: ref } } } },
    field: "spec.chat.cards.keysSecretRef",
    remedy: /Required/,
  },
  {
    what: "buttons that nobody signs",
    spec: { chat: { cards: { keysSecretRef: ref, actions: { url: "https://shop.example/b" } } } },
    field: "spec.chat.cards.actions.secretRef",
    remedy: /Required/,
  },
  {
    what: "buttons by another protocol",
    spec: actions("ftp://shop.example/b"),
    field: "spec.chat.cards.actions.url",
    remedy: /must start with https:/,
  },
  {
    what: "credentials in the address of buttons",
    spec: actions("https://user:password@shop.example/b"),
    field: "spec.chat.cards.actions.url",
    remedy: /hold no credentials: those belong in secretRef/,
  },
  {
    what: "rules without a key",
    spec: { chat: { policy: { configMapRef: { name: "rules" } } } },
    field: "spec.chat.policy.configMapRef.key",
    remedy: /Required/,
  },
  {
    what: "rules in a path",
    spec: { chat: { policy: { configMapRef: { name: "/etc/rules", key: "r.json" } } } },
    field: "spec.chat.policy.configMapRef.name",
    remedy: /the name of a ConfigMap holds only/,
  },
  {
    what: "hooks in a Secret with a wrong name",
    spec: { chat: { hooks: { secretRef: { name: "Hooks", key: "h.json" } } } },
    field: "spec.chat.hooks.secretRef.name",
    remedy: /the name of a Secret holds only/,
  },
  {
    what: "an address as a network for webhooks",
    spec: { chat: { webhookAllowedNetworks: ["10.1.0.1"] } },
    field: "spec.chat.webhookAllowedNetworks[0]",
    remedy: /address ranges such as 10\.1\.0\.0\/16/,
  },
  {
    what: "a network for webhooks twice",
    spec: { chat: { webhookAllowedNetworks: ["10.1.0.0/16", "10.1.0.0/16"] } },
    field: "spec.chat.webhookAllowedNetworks[1]",
    remedy: /Duplicate value/,
  },
];
