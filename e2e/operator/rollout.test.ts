// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ANNOTATION, LABEL } from "../../operator/imcluster/names.ts";
import { DEPLOYMENTS, type Deployment, JOBS, type Pod, SECRETS, SERVICES } from "../../operator/kube/types.ts";
import { readCertificate } from "../../operator/pki/x509.ts";
import { Bench, conditionStatus, withCluster } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const imageOf = (pod: Pod) => pod.spec.containers[0]?.image;
const logicImage = async (bench: Bench) => {
  const logic: Deployment | undefined = await bench.client.get(DEPLOYMENTS, bench.namespace, "demo-logic");
  return logic?.spec.template.spec.containers[0]?.image;
};
const NEW_IMAGE = "registry.example/imcluster:0.2.0";

describe("a new version", () => {
  it("migrates, rolls logic, makes all new entries, and only then closes the old ones, together", async () => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      const old = new Set((await bench.entryPods()).map(({ metadata }) => metadata.uid));
      let most = 0;
      await bench.patchSpec({ version: "0.2.0" });
      await bench.until("updated", async ({ status }) => {
        const pods = await bench.entryPods();
        most = Math.max(most, pods.length);
        const ready = pods.filter((pod) => !pod.metadata.deletionTimestamp && bench.fleet.isReady(pod));
        assert.ok(ready.length >= 2, "never fewer ready than wanted");
        return status?.phase === "Ready" && status.version === "0.2.0" && status.entry?.updated === 2;
      });
      assert.equal(most, 4, "a whole second set, and no more");
      const pods = await bench.entryPods();
      assert.ok(pods.every((pod) => !old.has(pod.metadata.uid) && imageOf(pod) === NEW_IMAGE));
      assert.equal(await logicImage(bench), NEW_IMAGE);
      const jobs = (await bench.client.list(JOBS, bench.namespace)).items;
      assert.equal(
        jobs.filter(({ metadata }) => !metadata.deletionTimestamp).length,
        1,
        "the migration before is gone",
      );
      assert.equal(bench.fleet.drained.size, 2);
      const { status } = await bench.get();
      assert.deepEqual(
        status?.drains?.map(({ reason, phase }) => `${reason} ${phase}`),
        ["Update Released", "Update Released"],
      );
      assert.equal(
        new Set(status?.drains?.map(({ startedAt }) => startedAt)).size,
        1,
        "closed in one and the same pass",
      );
    });
  });

  it("whose migration fails touches neither logic nor entries, and says how to see why", async () => {
    const migration: { outcome: "complete" | "fail" } = { outcome: "complete" };
    await withCluster(
      server,
      { entry: { replicas: 1 } },
      async (bench) => {
        migration.outcome = "fail";
        const before = await bench.entryPods();
        await bench.patchSpec({ image: NEW_IMAGE });
        const saysWhy = /Job demo-migrate-\w+ failed.*kubectl logs job\/demo-migrate-\w+; tried again at/;
        const cluster = await bench.until("migration failed", ({ status }) => {
          const condition = status?.conditions?.find(({ type }) => type === "SchemaMigrated");
          return condition?.status === "False" && status?.phase === "Degraded" && saysWhy.test(condition.message ?? "");
        });
        assert.equal(conditionStatus(cluster, "Ready"), "True", "the old version serves on");
        assert.notEqual(await logicImage(bench), NEW_IMAGE);
        assert.deepEqual(
          (await bench.entryPods()).map(({ metadata }) => metadata.uid),
          before.map(({ metadata }) => metadata.uid),
        );
      },
      { migration: () => migration.outcome },
    );
  });

  it("that never gets ready takes no old entry away, and a third one replaces both", async () => {
    const broken = { image: "" };
    await withCluster(
      server,
      { entry: { replicas: 2 } },
      async (bench) => {
        const old = (await bench.entryPods()).map(({ metadata }) => metadata.uid);
        broken.image = NEW_IMAGE;
        await bench.patchSpec({ image: NEW_IMAGE });
        await bench.until("the new ones are there", async () => (await bench.entryPods()).length === 4);
        // Long enough for a dozen passes to do something wrong.
        for (let pass = 0; pass < 12; pass++) {
          await bench.patchSpec({ extlogic: { replicas: pass % 2 } });
          await bench.until("seen", ({ status, metadata }) => status?.observedGeneration === metadata.generation);
        }
        const now = await bench.entryPods();
        assert.equal(now.length, 4);
        assert.ok(old.every((uid) => now.some(({ metadata }) => metadata.uid === uid)));
        assert.equal(bench.fleet.drained.size, 0);
        const third = "registry.example/imcluster:0.3.0";
        await bench.patchSpec({ image: third });
        await bench.untilReady();
        assert.ok((await bench.entryPods()).every((pod) => imageOf(pod) === third));
      },
      {
        starts: (pod) =>
          broken.image === "" || imageOf(pod) !== broken.image || pod.metadata.labels?.[LABEL.component] !== "entry",
      },
    );
  });
});

describe("the certificate for clients", () => {
  const certificate = async (bench: Bench) => {
    const secret = await bench.client.get(SECRETS, bench.namespace, "demo-tls");
    return readCertificate(Buffer.from(secret?.data?.["tls.crt"] ?? "", "base64").toString());
  };

  it("names the Service, the cluster and the load balancer, and is issued anew when the address changes, without a rollout", async () => {
    const address = { ip: "192.0.2.10" };
    await withCluster(
      server,
      { entry: { replicas: 1 } },
      async (bench) => {
        const names = [`demo-entry.${bench.namespace}.svc`, "demo.imcluster.local"];
        assert.deepEqual((await certificate(bench))?.altNames, [...names, "192.0.2.10"]);
        const [before] = await bench.entryPods();
        address.ip = "192.0.2.77";
        await bench.until("new address", ({ status }) => status?.address === "192.0.2.77");
        await bench.until(
          "new certificate",
          async () => (await certificate(bench))?.altNames.includes("192.0.2.77") ?? false,
        );
        const changed = (pods: Pod[]) =>
          pods[0]?.metadata.annotations?.[ANNOTATION.tlsFingerprint] !==
          before?.metadata.annotations?.[ANNOTATION.tlsFingerprint];
        await bench.until("kubelet is nudged", async () => changed(await bench.entryPods()));
        assert.equal((await bench.entryPods())[0]?.metadata.uid, before?.metadata.uid, "the pod stays");
      },
      { loadBalancerIp: () => address.ip },
    );
  });

  it("keeps its CA and all other Secrets as they are", async () => {
    await withCluster(server, { entry: { replicas: 1 } }, async (bench) => {
      const versions = async () =>
        new Map(
          (await bench.client.list(SECRETS, bench.namespace)).items.map(({ metadata }) => [
            metadata.name,
            metadata.resourceVersion,
          ]),
        );
      const before = await versions();
      await bench.patchSpec({ version: "0.2.0" });
      await bench.until("updated", ({ status }) => status?.phase === "Ready" && status.version === "0.2.0");
      assert.deepEqual(await versions(), before);
    });
  });
});

describe("the operator", () => {
  it("puts back what somebody changed", async () => {
    await withCluster(server, { entry: { replicas: 1 } }, async (bench) => {
      await bench.client.patchMerge(SERVICES, bench.namespace, "demo-entry", {
        spec: { selector: { [LABEL.component]: "logic" } },
      });
      await bench.client.patchMerge(DEPLOYMENTS, bench.namespace, "demo-logic", { spec: { replicas: 9 } });
      await bench.until("put back", async () => {
        const service = await bench.client.get(SERVICES, bench.namespace, "demo-entry");
        const logic = await bench.client.get(DEPLOYMENTS, bench.namespace, "demo-logic");
        return service?.spec.selector?.[LABEL.component] === "entry" && logic?.spec.replicas === 2;
      });
    });
  });

  it("takes fields away that the spec no longer has", async () => {
    const annotations = { "example.com/a": "1" };
    await withCluster(server, { entry: { replicas: 1, service: { annotations } } }, async (bench) => {
      await bench.patchSpec({ entry: { service: { annotations: null } } });
      await bench.until("annotation is gone", async () => {
        const service = await bench.client.get(SERVICES, bench.namespace, "demo-entry");
        return service?.metadata.annotations?.["example.com/a"] === undefined;
      });
    });
  });

  it("changes nothing while paused, and says so", async () => {
    await withCluster(server, { entry: { replicas: 1 } }, async (bench) => {
      await bench.patchSpec({ paused: true, entry: { replicas: 3 } });
      const cluster = await bench.until("paused", ({ status }) => status?.phase === "Paused");
      assert.equal(conditionStatus(cluster, "Paused"), "True");
      assert.equal((await bench.entryPods()).length, 1);
      await bench.patchSpec({ paused: false });
      await bench.untilReady();
      assert.equal((await bench.entryPods()).length, 3);
    });
  });

  it("names a Secret that the spec refers to and that does not exist, and goes on when it does", async () => {
    const bench = await Bench.open(server);
    try {
      await bench.startOperator();
      await bench.create({
        entry: { replicas: 1 },
        postgres: { urlSecretRef: { name: "db", key: "url" } },
        tls: { secretName: "own-tls" },
      });
      const cluster = await bench.until("missing", ({ status }) => /Secret db/.test(status?.phaseReason ?? ""));
      assert.match(
        cluster.status?.phaseReason ?? "",
        /Secret db, named by spec\.postgres\.urlSecretRef, does not exist/,
      );
      const secret = (name: string, stringData: Record<string, string>) =>
        bench.client.create(SECRETS, {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, namespace: bench.namespace },
          stringData,
        });
      await secret("db", { url: "postgres://im:im@db:5432/im" });
      await secret("own-tls", { "tls.crt": "c", "tls.key": "k" });
      const ready = await bench.untilReady();
      assert.equal(conditionStatus(ready, "EmbeddedDatastores"), "True", "Redis is embedded still");
      assert.equal(await bench.client.get(SECRETS, bench.namespace, "demo-postgres"), undefined);
    } finally {
      await bench.close();
    }
  });
});
