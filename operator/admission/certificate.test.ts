// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { Secret, ValidatingWebhookConfiguration } from "../kube/types.ts";
import { isIssuedBy, type KeyPair, readCertificate } from "../pki/x509.ts";
import { WebhookCertificate } from "./certificate.ts";

const DAY_MS = 86_400_000;

/** An API server with one Secret and one webhook. */
function setUp(hasWebhook = true) {
  const clock = new FakeClock();
  const state = {
    secret: undefined as Secret | undefined,
    config: hasWebhook
      ? ({
          metadata: { name: "w", resourceVersion: "1" },
          webhooks: [{ name: "a", clientConfig: {} }],
        } as ValidatingWebhookConfiguration)
      : undefined,
    writes: [] as string[],
    isRacing: false,
    isDown: false,
  };
  const client = {
    get: async (resource: { kind: string }) => {
      if (state.isDown) throw new KubeError(0, "Network", "away");
      return structuredClone(resource.kind === "Secret" ? state.secret : state.config);
    },
    create: async (_resource: unknown, secret: Secret) => {
      state.writes.push("create");
      if (state.isRacing) return "exists";
      state.secret = { ...secret, metadata: { ...secret.metadata, uid: "s", resourceVersion: "1" } };
      return state.secret;
    },
    patchMerge: async (resource: { kind: string }, _namespace: unknown, _name: unknown, patch: object) => {
      state.writes.push(`patch ${resource.kind}`);
      if (resource.kind === "Secret") state.secret = { ...(state.secret as Secret), ...patch } as Secret;
      else
        state.config = {
          ...(state.config as ValidatingWebhookConfiguration),
          ...patch,
        } as ValidatingWebhookConfiguration;
      return patch;
    },
  } as unknown as KubeClient;
  const pairs: KeyPair[] = [];
  const replica = () =>
    new WebhookCertificate({
      ...{ client, clock, namespace: "ops", name: "im-operator-admission", log: silentLogger },
      onPair: async (pair) => void pairs.push(pair),
    });
  const trusted = () => Buffer.from(state.config?.webhooks?.[0]?.clientConfig.caBundle ?? "", "base64").toString();
  return { clock, state, pairs, replica, certificate: replica(), trusted };
}

describe("WebhookCertificate", () => {
  it("makes a CA and a certificate for the Service, serves with it, and tells the API server whom to trust", async () => {
    const { certificate, pairs, trusted, state } = setUp();
    assert.equal(await certificate.ensure(), true);
    const [pair] = pairs;
    assert.ok(pair && isIssuedBy(pair.cert, trusted()));
    assert.deepEqual(readCertificate(pair.cert)?.altNames, ["im-operator-admission.ops.svc"]);
    assert.deepEqual(state.writes, ["create", "patch ValidatingWebhookConfiguration"]);
  });

  it("writes nothing when all is well, and another replica serves with the same", async () => {
    const { certificate, replica, pairs, state } = setUp();
    await certificate.ensure();
    state.writes.length = 0;
    assert.equal(await certificate.ensure(), true);
    assert.equal(await replica().ensure(), true);
    assert.deepEqual([state.writes, pairs.length, pairs[0]?.cert], [[], 2, pairs[1]?.cert]);
  });

  it("renews in time under the same CA, which the API server goes on to trust", async () => {
    const { certificate, clock, pairs, state, trusted } = setUp();
    await certificate.ensure();
    const before = trusted();
    clock.advance(276 * DAY_MS);
    state.writes.length = 0;
    assert.equal(await certificate.ensure(), true);
    assert.deepEqual([state.writes, pairs.length], [["patch Secret"], 2]);
    assert.equal(trusted(), before);
    assert.ok(isIssuedBy(pairs[1]?.cert ?? "", before));
  });

  it("makes everything anew when the Secret holds nonsense", async () => {
    const { certificate, pairs, state, trusted } = setUp();
    await certificate.ensure();
    state.secret = { metadata: { name: "s", uid: "s", resourceVersion: "9" }, data: { "tls.crt": "bm9uc2Vuc2U=" } };
    assert.equal(await certificate.ensure(), true);
    assert.ok(isIssuedBy(pairs.at(-1)?.cert ?? "", trusted()));
  });

  it("restores the trust that a chart applied again took away", async () => {
    const { certificate, state, trusted } = setUp();
    await certificate.ensure();
    const before = trusted();
    state.config = { metadata: { name: "w" }, webhooks: [{ name: "a", clientConfig: {} }] };
    await certificate.ensure();
    assert.equal(trusted(), before);
  });

  it("looks again soon when another replica was faster, there is no webhook yet, or the API server is away", async () => {
    const { certificate, state, pairs, clock } = setUp(false);
    state.isRacing = true;
    assert.equal(await certificate.ensure(), false);
    state.isRacing = false;
    assert.equal(await certificate.ensure(), false, "no webhook");
    state.isDown = true;
    await assert.rejects(certificate.ensure());
    await certificate.start();
    state.isDown = false;
    state.config = { metadata: { name: "w" }, webhooks: [{ name: "a", clientConfig: {} }] };
    clock.advance(5_000);
    for (let turn = 0; turn < 50 && state.config?.webhooks?.[0]?.clientConfig.caBundle === undefined; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    assert.ok(state.config?.webhooks?.[0]?.clientConfig.caBundle);
    assert.equal(pairs.length, 1);
    certificate.close();
  });
});
