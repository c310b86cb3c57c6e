// SPDX-License-Identifier: Apache-2.0
// What only one provider does; what all do is in providers.test.ts.
import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { apnsBench, fcmBench, webPushBench, wechatBench } from "../../../e2e/sandbox/provider-benches.ts";
import { requestFor } from "../../../e2e/sandbox/provider-contract.ts";
import type { PushProvider } from "../provider.ts";
import { percentEncode, rpcSignature } from "./aliyun-sms.ts";
import { ApnsProvider } from "./apns.ts";
import { FcmProvider } from "./fcm.ts";
import { describeFault, readRetryAfter } from "./http-call.ts";
import { fillTemplate } from "./template-data.ts";
import { isAllowed, PUSH_SERVICES, WebPushProvider } from "./web-push.ts";
import { encryptPush, MAX_TEXT_BYTES } from "./web-push-encrypt.ts";

const never = new AbortController().signal;
const open: { provider: PushProvider; sandbox: { close(): Promise<void> } }[] = [];
function kept<T extends (typeof open)[number]>(bench: T): T {
  open.push(bench);
  return bench;
}
afterEach(async () => {
  for (const { provider, sandbox } of open.splice(0)) {
    provider.close();
    await sandbox.close();
  }
});

describe("APNs", () => {
  it("uses one connection for many pushes, and a new one after GOAWAY", async () => {
    const { provider, sandbox, address } = kept(await apnsBench());
    const push = () => provider.push(requestFor(address), never);
    await Promise.all(Array.from({ length: 10 }, push));
    await push();
    assert.equal(sandbox.connections, 1);
    sandbox.goAway();
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    while (sandbox.open > 0) await turn();
    // One whole turn reads what came; the first one may be in the middle of its own.
    await turn();
    await turn();
    assert.equal((await push()).kind, "accepted");
    assert.equal(sandbox.connections, 2);
  });

  it("does not let a token escape from the path", async () => {
    const { provider, sandbox } = kept(await apnsBench());
    for (const address of ["../3/device/aa", "zz".repeat(16), "", "aa"]) {
      assert.equal((await provider.push(requestFor(address), never)).kind, "gone");
    }
    assert.deepEqual([sandbox.pushes, sandbox.refused], [[], []]);
  });

  it("wakes the app without a sound in the background", async () => {
    const { provider, sandbox, address } = kept(await apnsBench());
    assert.equal((await provider.push(requestFor(address, { urgency: "background" }), never)).kind, "accepted");
    const { aps } = JSON.parse(sandbox.pushes[0]?.text ?? "") as { aps: object };
    assert.deepEqual(aps, { "content-available": 1, badge: 3 });
  });

  it("tries again later while Apple refuses our key, which is not the device's fault", async () => {
    const { sandbox, address } = kept(await apnsBench());
    const settings = {
      url: sandbox.url,
      privateKey: sandbox.privateKey,
      topic: "com.example.shop",
      clock: systemClock,
    };
    const provider = new ApnsProvider({ ...settings, keyId: "WRONGKEYID", teamId: "DEF123GHIJ" });
    const result = await provider.push(requestFor(address), never);
    provider.close();
    assert.deepEqual(result, { kind: "failed", reason: "APNs answered 403 InvalidProviderToken" });
    assert.deepEqual(sandbox.refused, ["InvalidProviderToken"]);
  });

  it("says what is wrong with a key, and does not show it", () => {
    for (const privateKey of ["not a key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"]) {
      assert.throws(
        () => new ApnsProvider({ url: "http://x", privateKey, keyId: "", teamId: "", topic: "", clock: systemClock }),
        (error: Error) =>
          /IM_PUSH_APNS_KEY: is not a private key in PEM/.test(error.message) && !/c2Vj/.test(error.message),
      );
    }
  });
});

describe("FCM", () => {
  it("asks for one access token for many pushes, and for another when it is taken back", async () => {
    const { provider, sandbox, address } = kept(await fcmBench());
    const push = () => provider.push(requestFor(address), never);
    await Promise.all(Array.from({ length: 10 }, push));
    assert.equal(sandbox.issued, 1);
    sandbox.revoke();
    assert.equal((await push()).kind, "accepted");
    assert.equal(sandbox.issued, 2);
  });

  it("says what is wrong with a service account", () => {
    for (const text of ["", "[]", '{"project_id":"p"}']) {
      assert.throws(() => new FcmProvider({ url: "http://x", serviceAccount: text, clock: systemClock }), /JSON file/);
    }
  });
});

describe("WeChat", () => {
  it("asks for a token in the usual way, and by force only when it gets the refused one again", async () => {
    const { provider, sandbox, address } = kept(await wechatBench());
    const push = () => provider.push(requestFor(address), never);
    await push();
    sandbox.revoke();
    assert.equal((await push()).kind, "accepted");
    assert.deepEqual([sandbox.issued, sandbox.forced], [2, 0]);
    sandbox.revoke(true);
    assert.equal((await push()).kind, "accepted");
    assert.deepEqual([sandbox.issued, sandbox.forced], [3, 1]);
  });
});

describe("Web Push", () => {
  it("encrypts the example of RFC 8291", () => {
    const key = (text: string) => Buffer.from(text, "base64url");
    const sealed = encryptPush(
      Buffer.from("When I grow up, I want to be a watermelon"),
      {
        p256dh: key("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        auth: key("BTBZMqHH6r4Tts7J_aSIgg"),
      },
      { salt: key("DGv6ra1nlYgDCS1FRnbzlw"), privateKey: key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw") },
    );
    assert.equal(
      sealed?.toString("base64url"),
      "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
    );
  });

  it("refuses keys that are none and texts that are too long", () => {
    const keys = { p256dh: createECDH("prime256v1").generateKeys(), auth: Buffer.alloc(16) };
    assert.ok(encryptPush(Buffer.alloc(MAX_TEXT_BYTES), keys));
    assert.ok((encryptPush(Buffer.alloc(MAX_TEXT_BYTES), keys)?.length ?? 0) <= 4096);
    assert.equal(encryptPush(Buffer.alloc(MAX_TEXT_BYTES + 1), keys), undefined);
    assert.equal(encryptPush(Buffer.alloc(1), { ...keys, auth: Buffer.alloc(15) }), undefined);
    assert.equal(encryptPush(Buffer.alloc(1), { ...keys, p256dh: Buffer.alloc(65, 4) }), undefined);
  });

  it("calls push services only: a subscription comes from a client", async () => {
    const { sandbox, address } = kept(await webPushBench());
    const settings = { privateKey: sandbox.privateKey, subject: "mailto:a@b.example", clock: systemClock };
    const provider = new WebPushProvider({ ...settings, services: PUSH_SERVICES });
    for (const bad of [address, "{}", "", "null", '{"endpoint":"x","keys":{"p256dh":"","auth":""}}']) {
      assert.equal((await provider.push(requestFor(bad), never)).kind, "gone");
    }
    assert.deepEqual(sandbox.pushes, []);
    const allowed: [string, boolean][] = [
      ["https://fcm.googleapis.com/fcm/send/x", true],
      ["https://wns2-by3p.notify.windows.com/w/?token=x", true],
      ["https://web.push.apple.com/x", true],
      ["http://fcm.googleapis.com/x", false],
      ["https://fcm.googleapis.com:8443/x", false],
      ["https://fcm.googleapis.com.evil.example/x", false],
      ["https://evilpush.apple.com/x", false],
      ["https://user:pw@fcm.googleapis.com/x", false],
      ["https://169.254.169.254/latest/meta-data", false],
      ["https://[::1]/", false],
    ];
    for (const [url, isOne] of allowed) assert.equal(isAllowed(new URL(url), PUSH_SERVICES), isOne, url);
  });
});

describe("Aliyun SMS", () => {
  it("signs like the example of the documentation", () => {
    const params = {
      AccessKeyId: "testId",
      Action: "SendSms",
      Format: "XML",
      OutId: "123",
      PhoneNumbers: "15300000001",
      RegionId: "cn-hangzhou",
      SignName: "阿里云短信测试专用",
      SignatureMethod: "HMAC-SHA1",
      SignatureNonce: "45e25e9b-0a6f-4070-8c85-2956eda1b466",
      SignatureVersion: "1.0",
      TemplateCode: "SMS_71390007",
      TemplateParam: '{"customer":"test"}',
      Timestamp: "2017-07-12T02:42:19Z",
      Version: "2017-05-25",
    };
    assert.equal(rpcSignature("testSecret", "GET", params), "zJDF+Lrzhj/ThnlvIToysFRq6t4=");
    assert.equal(percentEncode("a b*c'd~(e)"), "a%20b%2Ac%27d~%28e%29");
  });
});

describe("HTTP calls", () => {
  it("read Retry-After in seconds and as a date, within a day", () => {
    const nowMs = Date.UTC(2026, 0, 1);
    assert.equal(readRetryAfter("7", nowMs), 7000);
    assert.equal(readRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", nowMs), 30_000);
    assert.equal(readRetryAfter("Thu, 01 Jan 2020 00:00:30 GMT", nowMs), 0);
    assert.equal(readRetryAfter("999999999", nowMs), 86_400_000);
    for (const text of [null, undefined, "", "soon"]) assert.equal(readRetryAfter(text, nowMs), undefined);
  });

  it("name faults without what was sent", () => {
    const refused = Object.assign(new Error("connect to secret"), { code: "ECONNREFUSED" });
    assert.equal(describeFault(new TypeError("fetch failed", { cause: refused })), "ECONNREFUSED");
    assert.equal(describeFault(new DOMException("x", "TimeoutError")), "no answer in time");
    assert.equal(describeFault("secret"), "unknown fault");
  });
});

describe("template texts", () => {
  it("know the time, and nothing about who wrote or what", () => {
    const { notification } = requestFor("");
    assert.deepEqual(fillTemplate({ a: "{time}", b: "on {date}: {sender} {text}" }, notification), {
      a: "2023-11-14 22:13",
      b: "on 2023-11-14: {sender} {text}",
    });
  });
});
