// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "#lib/config.ts";
import { extlogicSchema } from "../../../logic/config.ts";
import { policyOf } from "../../../logic/push/push-config.ts";
import { contentHashes, missingReferences, secretNames } from "../secrets.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { extlogicDeployment } from "./extlogic.ts";

const ref = (name: string) => ({ name, key: "k" });
const PUSH = {
  apns: { keySecretRef: ref("apns"), keyId: "ABC123DEFG", teamId: "DEF123GHIJ", topic: "com.example.shop" },
  fcm: { serviceAccountSecretRef: ref("fcm") },
  webPush: { keySecretRef: ref("vapid"), subject: "mailto:push@example.com", services: ["https://*.push.apple.com"] },
  wechat: { appId: "wx1", secretRef: ref("wechat"), kind: "Subscribe", templateId: "t", data: { thing1: "hello" } },
  sms: {
    vendor: "Aliyun",
    secretRef: ref("sms"),
    accessKeyId: "id",
    signName: "Shop",
    template: "SMS_1",
    params: { a: "b" },
  },
  policy: {
    steps: [
      { channel: "WeChat" },
      { channel: "App", delay: "1m30s" },
      { channel: "Sms", delay: "never", unreachedDelay: "10s" },
    ],
    timeZone: "Asia/Shanghai",
    quietHours: { start: "22:00", end: "08:00", channels: ["Sms"] },
    dailyCaps: { sms: 3 },
    appMode: "Background",
    backgroundInterval: "30m",
    readBy: "Mobile",
    ttl: "2h",
  },
};
const cluster = sampleCluster({ extlogic: { push: PUSH } });
const secrets = sampleSecrets(cluster);
const spec = extlogicDeployment(sampleContext(cluster, secrets)).spec.template.spec;
const env = Object.fromEntries((spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value ?? ""]));

describe("push providers of extlogic", () => {
  it("get their keys as read-only files, and nothing secret in the environment", () => {
    const mounts = (spec.containers[0]?.volumeMounts ?? []) as { mountPath: string; readOnly?: boolean }[];
    const keys = mounts.filter(({ mountPath }) => mountPath.startsWith("/etc/imcluster/push/"));
    assert.deepEqual(
      keys.map(({ mountPath }) => mountPath.slice("/etc/imcluster/push/".length)),
      ["apns", "fcm", "web-push", "wechat", "sms"],
    );
    assert.ok(keys.every(({ readOnly }) => readOnly === true));
    for (const name of ["APNS_KEY", "FCM_SERVICE_ACCOUNT", "WEB_PUSH_KEY", "WECHAT_SECRET", "SMS_SECRET"]) {
      assert.equal(env[`IM_PUSH_${name}`], undefined);
      assert.match(env[`IM_PUSH_${name}_FILE`] ?? "", /^\/etc\/imcluster\/push\/[a-z-]+\/key$/);
    }
  });

  it("are what extlogic's own configuration takes", () => {
    const dir = mkdtempSync(join(tmpdir(), "push-env-"));
    try {
      const key = join(dir, "key");
      writeFileSync(key, "a key");
      const mounted = Object.entries(env).map(([name, value]) => [
        name,
        name.startsWith("IM_PUSH") && name.endsWith("_FILE") ? key : value,
      ]);
      const urls = { IM_POSTGRES_URL: "postgres://h/d", IM_REDIS_URL: "redis://h" };
      const config = loadConfig(extlogicSchema, { ...Object.fromEntries(mounted), ...urls });
      assert.equal(config.IM_PUSH_APNS_KEY, "a key");
      assert.equal(config.IM_PUSH_WECHAT_KIND, "subscribe");
      assert.deepEqual(config.IM_PUSH_WEB_PUSH_SERVICES, ["https://*.push.apple.com"]);
      assert.deepEqual(policyOf(config), {
        steps: [
          { channel: "wechat", delayMs: 60_000, unreachedDelayMs: 0 },
          { channel: "app", delayMs: 90_000, unreachedDelayMs: 0 },
          { channel: "sms", delayMs: undefined, unreachedDelayMs: 10_000 },
        ],
        quietHours: { startMinute: 1320, endMinute: 480, channels: ["sms"] },
        timeZone: "Asia/Shanghai",
        dailyCaps: { app: 1000, wechat: 50, sms: 3 },
        appMode: "background",
        backgroundIntervalMs: 1_800_000,
        readBy: "mobile",
        ttlMs: 7_200_000,
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("leave a cluster without them as it is", () => {
    const plain = sampleCluster();
    const { containers, volumes } = extlogicDeployment(sampleContext(plain, sampleSecrets(plain))).spec.template.spec;
    const content = JSON.stringify([containers, volumes]);
    for (const secret of ["apns", "fcm", "vapid", "wechat", "sms"]) assert.ok(!content.includes(secret), secret);
  });

  it("name the Secrets that are missing, and roll the pods when one changes", () => {
    assert.ok(["apns", "fcm", "vapid", "wechat", "sms"].every((name) => secretNames(cluster).includes(name)));
    const missing = missingReferences(cluster, secrets, new Map());
    assert.equal(missing.length, 5);
    assert.ok(
      missing.some((text) => text.startsWith("Secret sms, named by spec.extlogic.push.sms.secretRef, does not exist")),
    );
    const withSms = (value: string) => {
      const data = { k: Buffer.from(value).toString("base64") };
      return new Map(secrets).set("sms", { apiVersion: "v1", kind: "Secret", metadata: { name: "sms" }, data });
    };
    const hashes = ["one", "two", "two"].map((value) => contentHashes(cluster, withSms(value)).push);
    assert.notEqual(hashes[0], hashes[1]);
    assert.equal(hashes[1], hashes[2]);
  });
});
