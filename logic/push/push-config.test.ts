// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig } from "#lib/config.ts";
import { extlogicSchema } from "../config.ts";
import { policyOf } from "./push-config.ts";

const BASE = { IM_POSTGRES_URL: "postgres://h/d", IM_REDIS_URL: "redis://h" };
const SMS = { IM_PUSH_SMS_URL: "https://sms.example", IM_PUSH_SMS_SECRET: "s", IM_PUSH_SMS_TEMPLATE: "t" };
const load = (env: Record<string, string>) => loadConfig(extlogicSchema, { ...BASE, ...env });
const policy = (env: Record<string, string>) => policyOf(load(env));

describe("push configuration", () => {
  it("keeps to the webhook, or the log, where nothing else is configured", () => {
    const only = [{ channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 }];
    assert.deepEqual(policy({}).steps, only);
    assert.deepEqual(policy({ IM_PUSH_WEBHOOK_URL: "https://hooks.example" }).steps, only);
    assert.equal(policy({}).dailyCaps.webhook, undefined);
  });

  it("takes every channel that has a provider, cheapest first, the webhook last", () => {
    const steps = policy({ ...SMS, IM_PUSH_WEBHOOK_URL: "https://h", IM_PUSH_FCM_SERVICE_ACCOUNT: "{}" }).steps;
    assert.deepEqual(
      steps.map(({ channel }) => channel),
      ["app", "sms", "webhook"],
    );
  });

  it("reads a policy of one's own", () => {
    const text = JSON.stringify({
      steps: [
        { channel: "webhook", delay: "never" },
        { channel: "sms", delay: "2m", unreachedDelay: "10s" },
      ],
      timeZone: "Asia/Shanghai",
      quietHours: { start: "22:30", end: "08:00" },
      dailyCaps: { sms: 2 },
      appMode: "background",
      backgroundInterval: "10m",
      readBy: "mobile",
      ttl: "2h",
    });
    assert.deepEqual(policy({ ...SMS, IM_PUSH_WEBHOOK_URL: "https://h", IM_PUSH_POLICY: text }), {
      steps: [
        { channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 },
        { channel: "sms", delayMs: 120_000, unreachedDelayMs: 10_000 },
      ],
      quietHours: { startMinute: 1350, endMinute: 480, channels: ["wechat", "sms"] },
      timeZone: "Asia/Shanghai",
      dailyCaps: { app: 1000, wechat: 50, sms: 2 },
      appMode: "background",
      backgroundIntervalMs: 600_000,
      readBy: "mobile",
      ttlMs: 7_200_000,
    });
  });

  const bad: [env: Record<string, string>, message: RegExp][] = [
    [{ IM_PUSH_APNS_KEY: "k" }, /IM_PUSH_APNS_TOPIC: is required; set it to the app's bundle id/],
    [{ IM_PUSH_APNS_TOPIC: "t" }, /IM_PUSH_APNS_KEY: is required.*_FILE/],
    [{ IM_PUSH_WECHAT_APP_ID: "wx" }, /IM_PUSH_WECHAT_DATA: is required.*thing1/],
    [{ IM_PUSH_WECHAT_DATA: "[1]" }, /IM_PUSH_WECHAT_DATA/],
    [{ IM_PUSH_SMS_URL: "https://x" }, /IM_PUSH_SMS_SECRET: is required/],
    [{ IM_PUSH_SMS_VENDOR: "aliyun", IM_PUSH_SMS_TEMPLATE: "t" }, /IM_PUSH_SMS_SIGN_NAME: is required/],
    [{ IM_PUSH_WEB_PUSH_KEY: "k" }, /IM_PUSH_WEB_PUSH_SUBJECT: is required.*mailto/],
    [{ IM_PUSH_WEB_PUSH_SUBJECT: "me" }, /neither mailto: nor https:/],
    [{ IM_PUSH_POLICY: "{" }, /IM_PUSH_POLICY: is not JSON/],
    [{ IM_PUSH_POLICY: '{"steps":[{"channel":"sms"}]}' }, /steps: sms has no provider/],
    [{ IM_PUSH_POLICY: '{"steps":[{"channel":"fax"}]}' }, /steps\.0\.channel/],
    [{ ...SMS, IM_PUSH_POLICY: '{"steps":[{"channel":"sms"},{"channel":"sms"}]}' }, /comes twice/],
    [{ IM_PUSH_POLICY: '{"quietHours":{"start":"25:00","end":"08:00"}}' }, /quietHours\.start: is not a time of day/],
    [{ IM_PUSH_POLICY: '{"quietHours":{"start":"08:00","end":"08:00"}}' }, /are the same/],
    [{ IM_PUSH_POLICY: '{"timeZone":"Mars"}' }, /timeZone: is not an IANA time zone/],
    [{ IM_PUSH_POLICY: '{"dailyCap":{}}' }, /dailyCap/],
    [{ IM_PUSH_POLICY: '{"ttl":"1s"}' }, /ttl: .*is not a duration/],
  ];
  for (const [env, message] of bad) {
    it(`says what is wrong with ${JSON.stringify(env).slice(0, 70)}`, () => {
      assert.throws(() => load(env), message);
    });
  }
});
