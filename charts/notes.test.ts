// SPDX-License-Identifier: Apache-2.0
// What Helm prints after an installation: the next three commands, and what is missing or weak.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { byKind, type ChartName, chartPath, ciValues, helmOk, render } from "./testing/helm.ts";

async function notes(chart: ChartName, ...args: string[]): Promise<string> {
  const text = await helmOk(["install", "shop", chartPath(chart), "-n", "chat", "--dry-run=client", ...args]);
  return text.slice(text.indexOf("NOTES:"));
}

const commands = (text: string): string[] =>
  [...text.matchAll(/^\d[.] .*\n {3}(kubectl|helm) /gm)].map(([line]) => line);

describe("notes of im-operator", () => {
  it("name the next three commands with every sample of values", async () => {
    for (const values of ciValues("im-operator"))
      assert.equal(commands(await notes("im-operator", "-f", values)).length, 3, basename(values));
  });

  it("warn of one replica, of monitoring without its kinds, and of no definition", async () => {
    const args = ["replicas=1", "crds.enabled=false", "monitoring.rules.enabled=true"].map((one) => `--set=${one}`);
    const text = await notes("im-operator", ...args);
    for (const said of [/with one replica/, /has no PodMonitor and PrometheusRule/, /no CustomResourceDefinition/])
      assert.match(text, said);
    assert.doesNotMatch(await notes("im-operator"), /WARNING:|NOTE:/);
  });
});

describe("notes of im-cluster", () => {
  it("name the next three commands with every sample of values", async () => {
    for (const values of ciValues("im-cluster"))
      assert.equal(commands(await notes("im-cluster", "-f", values)).length, 3, basename(values));
  });

  it("say what runs for trying out, and what to do without load balancer or StorageClass", async () => {
    const text = await notes("im-cluster");
    for (const said of [
      /no PostgreSQL is named/,
      /no Redis is named/,
      /no certificate is named/,
      /EXTERNAL-IP stay <pending>/,
      /spec[.]postgres[.]embedded[.]storageClassName/,
      /helm test shop -n chat --logs/,
    ])
      assert.match(text, said);
  });

  it("say less when more is named", async () => {
    const external = ciValues("im-cluster").find((path) => path.endsWith("external-values.yaml")) ?? "";
    assert.doesNotMatch(await notes("im-cluster", "-f", external), /NOTE:|StorageClass/);
    const text = await notes("im-cluster", "--set", "spec.entry.service.type=NodePort,spec.entry.replicas=1");
    assert.match(text, /the port of any node/);
    assert.doesNotMatch(text, /<pending>/);
    assert.match(text, /WARNING: with one entry/);
  });
});

interface TestPod {
  spec: {
    containers: { image: string; command: string[]; env: { name: string; value: string }[] }[];
    volumes: { name: string; secret?: { secretName: string; items: { key: string }[] } }[];
    imagePullSecrets?: { name: string }[];
  };
}

describe("the pod of helm test", () => {
  const pod = async (...sets: string[]): Promise<TestPod | undefined> =>
    byKind(
      await render(
        "im-cluster",
        sets.map((one) => `--set=${one}`),
      ),
      "Pod",
    )[0] as unknown as TestPod | undefined;
  const secretOf = (made: TestPod | undefined, name: string): string | undefined =>
    made?.spec.volumes.find((volume) => volume.name === name)?.secret?.secretName;
  const env = (made: TestPod | undefined, name: string): string | undefined =>
    made?.spec.containers[0]?.env.find((variable) => variable.name === name)?.value;

  it("runs our own image with the keys and the authority that the operator generated", async () => {
    const made = await pod("name=shop");
    const [container] = made?.spec.containers ?? [];
    assert.match(container?.image ?? "", /^ghcr[.]io[/]imcluster[/]imcluster:\d/);
    assert.deepEqual(container?.command, ["node", "probe/main.ts"]);
    assert.deepEqual([secretOf(made, "auth"), secretOf(made, "ca")], ["shop-auth", "shop-tls"]);
    assert.deepEqual(
      [env(made, "IM_PROBE_URL"), env(made, "IM_PROBE_AUDIENCE")],
      ["tls://shop-entry.ns.svc:443", "shop"],
    );
  });

  it("follows image, certificate, issuer and pull secrets of the spec", async () => {
    const made = await pod(
      ...["spec.image=example.com/im:1", "spec.tls.secretName=im-tls", "spec.auth.audience=chat"],
      ...["spec.imagePullSecrets={registry}", "test.serverName=chat.example.com"],
    );
    assert.equal(made?.spec.containers[0]?.image, "example.com/im:1");
    assert.equal(secretOf(made, "ca"), "im-tls");
    assert.deepEqual([env(made, "IM_PROBE_AUDIENCE"), env(made, "IM_PROBE_SERVER_NAME")], ["chat", "chat.example.com"]);
    assert.deepEqual(made?.spec.imagePullSecrets, [{ name: "registry" }]);
    assert.equal((await pod("test.image=example.com/im:2"))?.spec.containers[0]?.image, "example.com/im:2");
  });

  it("needs tokens when the keys are the shop's own, and is left out without them", async () => {
    const own = ["spec.auth.jwksSecretRef.name=keys", "spec.auth.jwksSecretRef.key=jwks.json"];
    assert.equal(await pod(...own), undefined);
    assert.match(
      await notes("im-cluster", ...own.map((one) => `--set=${one}`)),
      /`helm test` is left out.*test[.]tokensSecretName/s,
    );
    const made = await pod(...own, "test.tokensSecretName=tokens");
    assert.equal(secretOf(made, "auth"), "tokens");
    assert.equal(env(made, "IM_PROBE_TOKENS_DIR"), "/etc/imcluster/auth");
    assert.equal(await pod("test.enabled=false"), undefined);
  });
});
