// SPDX-License-Identifier: Apache-2.0
// The operator calls entries and logic over real gRPC with the certificates that it issued itself.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { createGrpcServer, type GrpcServer, type GrpcService, type InternalTls, unaryService } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import type { AuditRoutesRequest, PurgeEntryRequest, StatusReply } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import { PODS, type Pod, SECRETS } from "../../operator/kube/types.ts";
import { createCa, issueLeaf } from "../../operator/pki/x509.ts";
import { freePort } from "../harness/ports.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

/** The control service of one entry, on its own loopback address. */
class FakeEntryServer {
  connections = 4;
  cordoned = false;
  draining = false;

  service(): GrpcService {
    return unaryService(serviceDefinition("im.uplink.v1.EntryControl"), {
      Status: () => this.#status(),
      Cordon: () => {
        this.cordoned = true;
        return this.#status();
      },
      Uncordon: () => {
        this.cordoned = false;
        return this.#status();
      },
      Drain: () => {
        this.draining = true;
        return this.#status();
      },
      Shed: () => this.#status(),
      DrainedSessions: () => ({ sessions: [], nextCursor: 0 }),
    });
  }

  #status(): Partial<StatusReply> {
    if (this.draining) this.connections = Math.max(0, this.connections - 2);
    const { connections, cordoned, draining } = this;
    return { incarnation: "here.1", connections, sessions: connections, cordoned, draining, ready: !cordoned };
  }
}

async function tlsOf(bench: Bench, secretName: string): Promise<InternalTls> {
  let data: Record<string, string> | undefined;
  await bench.until(secretName, async () => {
    data = (await bench.client.get(SECRETS, bench.namespace, secretName))?.data;
    return data !== undefined;
  });
  const pem = (key: string) => Buffer.from(data?.[key] ?? "", "base64");
  return { ca: pem("ca.crt"), cert: pem("tls.crt"), key: pem("tls.key") };
}

describe("over real gRPC", () => {
  it("a scale-down cordons, drains and purges", async () => {
    const ports = { entry: await freePort(), logic: await freePort() };
    const ips = new Map<string, string>();
    const podIp = (pod: Pod): string => {
      const { uid = "" } = pod.metadata;
      if (!ips.has(uid)) ips.set(uid, `127.77.0.${ips.size + 1}`);
      return ips.get(uid) ?? "";
    };
    const entries = new Map<string, FakeEntryServer>();
    const servers: GrpcServer[] = [];
    const purged: string[] = [];
    const audited: AuditRoutesRequest[] = [];
    const bench = await Bench.open(server, {
      podIp,
      isEntryReady: (pod) => entries.has(podIp(pod)) && !entries.get(podIp(pod))?.cordoned,
    });
    const fleet = new FleetClient({ clock: systemClock, log: silentLogger, ports });
    try {
      await bench.startOperator(bench.client, fleet);
      await bench.create({ entry: { replicas: 2 }, logic: { replicas: 1 } });
      const listen = async (tls: InternalTls, service: GrpcService, host: string, port: number) => {
        const grpc = createGrpcServer({ tls, clientRoles: ["operator"] });
        grpc.addService(service);
        await grpc.bind(host, port);
        servers.push(grpc);
      };
      const entryTls = await tlsOf(bench, "demo-internal-entry");
      await bench.until("entry pods", async () => (await bench.entryPods()).length === 2);
      for (const pod of await bench.entryPods()) {
        const fake = new FakeEntryServer();
        await listen(entryTls, fake.service(), podIp(pod), ports.entry);
        entries.set(podIp(pod), fake);
      }
      const purge = unaryService(serviceDefinition("im.uplink.v1.LogicControl"), {
        PurgeEntry: (request: PurgeEntryRequest) => {
          purged.push(request.podUid);
          assert.equal(request.force, true, "the operator drained it: no guard holds its purge");
          return { incarnations: 1, routesDeleted: 4, routesRemaining: 0 };
        },
        AuditRoutes: (request: AuditRoutesRequest) => {
          audited.push(request);
          const isFirst = request.cursor === "";
          return { cursor: isFirst ? "next" : "", incarnations: 1, routesDeleted: 2, routesRemaining: isFirst ? 0 : 1 };
        },
        Status: () => ({}),
        Returned: () => ({ absent: [], offlineMs: [] }),
      });
      const logicTls = await tlsOf(bench, "demo-internal-logic");
      await bench.until("sessions are seen", ({ status }) => status?.entry?.sessions === 8);
      const logicPods = async () =>
        (await bench.client.list(PODS, bench.namespace, { labelSelector: "app.kubernetes.io/component=logic" })).items;
      await bench.until("logic pods", async () => (await logicPods()).length === 1);
      for (const pod of await logicPods()) await listen(logicTls, purge, podIp(pod), ports.logic);
      const before = await bench.entryPods();
      await bench.patchSpec({ entry: { replicas: 1 } });
      await bench.untilReady();
      const [survivor, ...others] = await bench.entryPods();
      assert.equal(others.length, 0);
      const victim = before.find(({ metadata }) => metadata.uid !== survivor?.metadata.uid);
      assert.ok(victim);
      assert.deepEqual([...new Set(purged)], [victim.metadata.uid]);
      assert.equal(entries.get(podIp(victim))?.connections, 0, "its connections were moved first");
      const audit = await bench.until(
        "an audit of two pages",
        ({ status }) => status?.router?.ghostRoutes === 1,
        110_000,
      );
      assert.equal(audit.status?.router?.connected, true);
      assert.deepEqual([...new Set(audited.map(({ cursor }) => cursor))], ["", "next"]);
      const living = audited.at(-1)?.living.map(({ podUid, incarnation }) => [podUid, incarnation]);
      assert.ok(living?.some(([podUid, incarnation]) => podUid === survivor?.metadata.uid && incarnation === "here.1"));
    } finally {
      await bench.close();
      fleet.close();
      await Promise.all(servers.map((grpc) => grpc.close(0)));
    }
  });

  it("a server of another role or another CA is not believed", async () => {
    const nowMs = Date.now();
    const ca = createCa({ commonName: "test", nowMs, validDays: 1 });
    const other = createCa({ commonName: "other", nowMs, validDays: 1 });
    const leaf = (signer: typeof ca, role: string, trust = ca): InternalTls => {
      const name = `${role}.imcluster.internal`;
      const pair = issueLeaf(signer, {
        commonName: name,
        altNames: [name],
        usage: ["server", "client"],
        nowMs,
        validDays: 1,
      });
      return { ca: Buffer.from(trust.cert), cert: Buffer.from(pair.cert), key: Buffer.from(pair.key) };
    };
    const pod: Pod = { metadata: { name: "p", uid: "u" }, spec: { containers: [] }, status: { podIP: "127.0.0.1" } };
    const ask = async (serverTls: InternalTls, operatorTls: InternalTls) => {
      const grpc = createGrpcServer({ tls: serverTls, clientRoles: ["operator"] });
      grpc.addService(new FakeEntryServer().service());
      const port = await grpc.bind("127.0.0.1", 0);
      const fleet = new FleetClient({ clock: systemClock, log: silentLogger, ports: { entry: port, logic: port } });
      try {
        return await fleet.status({ clusterUid: "c", tls: operatorTls }, pod);
      } finally {
        fleet.close();
        await grpc.close(0);
      }
    };
    const operator = leaf(ca, "operator");
    assert.equal((await ask(leaf(ca, "entry"), operator))?.connections, 4);
    assert.equal(await ask(leaf(ca, "logic"), operator), undefined, "logic is no entry");
    assert.equal(await ask(leaf(other, "entry"), operator), undefined, "another CA");
    assert.equal(await ask(leaf(ca, "entry"), leaf(ca, "entry")), undefined, "an entry is no operator");
    assert.equal(await ask(leaf(ca, "entry"), leaf(other, "operator")), undefined, "operator of another cluster");
  });
});
