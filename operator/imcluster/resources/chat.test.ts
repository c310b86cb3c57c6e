// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "#lib/config.ts";
import { logicSchema } from "../../../logic/config.ts";
import type { ConfigMap, Secret } from "../../kube/types.ts";
import { configMapNames, contentHashes, missingReferences, secretNames } from "../secrets.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { extlogicDeployment } from "./extlogic.ts";
import { logicDeployment } from "./logic.ts";

const CHAT = {
  ...{
    recallWindow: "90s",
    editWindow: "1h",
    maxGroupMembers: 5000,
    maxItemConversations: 70,
    conversations: "PerItem",
    webhookAllowedNetworks: ["10.1.0.0/16", "fd00:1::/32"],
  },
  cards: {
    keysSecretRef: { name: "cards", key: "k" },
    actions: { url: "https://shop.example/buttons", secretRef: { name: "buttons", key: "s" } },
  },
  policy: { configMapRef: { name: "rules", key: "r.json" } },
  hooks: { secretRef: { name: "hooks", key: "h.json" } },
};
const cluster = sampleCluster({ chat: CHAT });
const secrets = sampleSecrets(cluster);

interface VolumeMount {
  name: string;
  mountPath: string;
  readOnly?: boolean;
}
type Build = typeof logicDeployment | typeof extlogicDeployment;

function podOf(build: Build, of = cluster) {
  const { containers, volumes = [] } = build(sampleContext(of, secrets)).spec.template.spec;
  const [container] = containers;
  const env = new Map(container?.env?.map(({ name, value }) => [name, value]));
  return { env, volumes: volumes as { name: string }[], mounts: (container?.volumeMounts ?? []) as VolumeMount[] };
}

describe("the chat of an ImCluster", () => {
  it("has windows and nothing else by default", () => {
    const { env, volumes } = podOf(logicDeployment, sampleCluster());
    assert.deepEqual([env.get("IM_RECALL_WINDOW_MS"), env.get("IM_EDIT_WINDOW_MS")], ["120000", "900000"]);
    for (const name of env.keys()) assert.doesNotMatch(name, /CARD|POLICY_FILE|HOOKS|WEBHOOK_ALLOWED/);
    const names = volumes.map(({ name }) => name);
    for (const name of ["card-keys", "card-actions", "policy", "hooks"]) assert.ok(!names.includes(name), name);
  });

  it("is what logic's own configuration takes, with every secret in a file", () => {
    const { env } = podOf(logicDeployment);
    assert.ok(!env.has("IM_CARD_ACTION_SECRET"));
    const dir = mkdtempSync(join(tmpdir(), "chat-env-"));
    try {
      const secret = join(dir, "secret");
      writeFileSync(secret, "of the buttons\n");
      const urls = { IM_POSTGRES_URL: "postgres://h/d", IM_REDIS_URL: "redis://h" };
      const given = { ...Object.fromEntries(env), ...urls, IM_CARD_ACTION_SECRET_FILE: secret };
      const config = loadConfig(logicSchema, given);
      assert.deepEqual([config.IM_RECALL_WINDOW_MS, config.IM_EDIT_WINDOW_MS], [90_000, 3_600_000]);
      assert.equal(config.IM_MAX_GROUP_MEMBERS, 5000);
      assert.deepEqual([config.IM_CONVERSATIONS, config.IM_MAX_ITEM_CONVERSATIONS], ["per_item", 70]);
      assert.deepEqual(config.IM_WEBHOOK_ALLOWED_NETWORKS, CHAT.webhookAllowedNetworks);
      assert.equal(config.IM_CARD_ACTION_URL, CHAT.cards.actions.url);
      assert.equal(config.IM_CARD_ACTION_SECRET, "of the buttons");
      assert.equal(config.IM_CARD_KEYS_FILE, "/etc/imcluster/card-keys/keys");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("has its files where the settings say, read-only, each key under a name of ours", () => {
    const { env, volumes, mounts } = podOf(logicDeployment);
    const fileOf = (name: string): object | undefined => {
      const path = env.get(name) ?? "";
      const mount = mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
      assert.equal(mount?.readOnly, true, name);
      return volumes.find((volume) => volume.name === mount?.name);
    };
    const secretVolume = (name: string, secretName: string, key: string, path: string) => ({
      name,
      secret: { secretName, defaultMode: 0o440, items: [{ key, path }] },
    });
    assert.deepEqual(fileOf("IM_CARD_KEYS_FILE"), secretVolume("card-keys", "cards", "k", "keys"));
    assert.deepEqual(fileOf("IM_CARD_ACTION_SECRET_FILE"), secretVolume("card-actions", "buttons", "s", "secret"));
    assert.deepEqual(fileOf("IM_HOOKS_FILE"), secretVolume("hooks", "hooks", "h.json", "hooks.json"));
    assert.deepEqual(fileOf("IM_POLICY_FILE"), {
      name: "policy",
      configMap: { name: "rules", defaultMode: 0o440, items: [{ key: "r.json", path: "policy.json" }] },
    });
  });

  it("gives extlogic the hooks and where they may lead, and no keys of cards", () => {
    const { env, volumes } = podOf(extlogicDeployment);
    assert.equal(env.get("IM_HOOKS_FILE"), "/etc/imcluster/hooks/hooks.json");
    assert.equal(env.get("IM_WEBHOOK_ALLOWED_NETWORKS"), "10.1.0.0/16,fd00:1::/32");
    const names = volumes.map(({ name }) => name);
    assert.ok(names.includes("hooks"));
    for (const name of ["card-keys", "card-actions", "policy"]) assert.ok(!names.includes(name), name);
  });

  it("names what it lacks, and what to do", () => {
    assert.ok(["cards", "buttons", "hooks"].every((name) => secretNames(cluster).includes(name)));
    assert.deepEqual(configMapNames(cluster), ["demo-log-levels", "rules"]);
    assert.deepEqual(configMapNames(sampleCluster()), ["demo-log-levels"], "nothing is read that nobody names");
    assert.deepEqual(missingReferences(cluster, secrets, new Map()), [
      "Secret cards, named by spec.chat.cards.keysSecretRef, does not exist: create it with k, or name another one",
      "Secret buttons, named by spec.chat.cards.actions.secretRef, does not exist: create it with s, or name another one",
      "Secret hooks, named by spec.chat.hooks.secretRef, does not exist: create it with h.json, or name another one",
      "ConfigMap rules, named by spec.chat.policy.configMapRef, does not exist: create it with r.json, or name another one",
    ]);
    const maps = (data: Record<string, string>) =>
      new Map<string, ConfigMap>([["rules", { metadata: { name: "rules" }, data }]]);
    const ofRules = (data: Record<string, string>) => missingReferences(cluster, secrets, maps(data)).slice(3);
    assert.deepEqual(ofRules({ other: "{}" }), [
      "ConfigMap rules, named by spec.chat.policy.configMapRef, has no key r.json: add it, or name another key",
    ]);
    assert.deepEqual(ofRules({ "r.json": "{}" }), []);
  });

  it("rolls logic for another secret of buttons, and for no other change of a file", () => {
    const revision = (changed: string, value: string) => {
      const data = { k: value, s: value, "h.json": value };
      const entries = ["cards", "buttons", "hooks"].map((name): [string, Secret] => [
        name,
        { metadata: { name }, data: name === changed ? data : { k: "eA==", s: "eA==", "h.json": "eA==" } },
      ]);
      const context = sampleContext(cluster, new Map([...secrets, ...entries]));
      return JSON.stringify([logicDeployment(context), extlogicDeployment(context)]);
    };
    for (const [name, rolls] of [
      ["cards", false],
      ["hooks", false],
      ["buttons", true],
    ] as const)
      assert.equal(revision(name, "eQ==") !== revision(name, "eA=="), rolls, name);
    assert.equal(contentHashes(cluster, secrets).cardActions, "", "unknown until it is there");
  });
});
