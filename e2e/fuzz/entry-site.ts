// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type InternalTls, loadInternalTls } from "#lib/grpc.ts";
import { FakeLogic } from "../../gateway/testing/fake-logic.ts";
import { freePort } from "../harness/ports.ts";
import type { ProcessExit } from "../harness/processes.ts";
import { waitUntil } from "../harness/processes.ts";
import { ServiceProcess } from "../harness/service-process.ts";
import { createTestAuthority, issueRoleFolders } from "../harness/tls.ts";
import type { ProbeReport } from "./probe.ts";

/** Who connects from there begins with a PROXY header. */
export const PROXY_ADDRESS = "127.0.0.2";
const SAMPLE_TIMEOUT_MS = 20_000;
const FORGET_EVERY_MS = 500;
/**
 * V8 lets its young generation grow as long as much of it survives, on a large machine to 128 MiB. With a size that it has
 * from the start, resident memory says what the entry keeps.
 */
const YOUNG_GENERATION = ["--min-semi-space-size=16", "--max-semi-space-size=16"];

/** Certificates of two entries and their logics, under `dir`. */
export interface FleetTls {
  /** For clients. */
  clientDir: string;
  /** `IM_INTERNAL_TLS_DIR` of entries. */
  entryDir: string;
  logic: InternalTls;
  /** The key of the entries: what leases are derived from. */
  secret: Uint8Array;
}

export async function issueFleetTls(dir: string): Promise<FleetTls> {
  const authority = await createTestAuthority(join(dir, "ca"));
  const { dir: clientDir } = await authority.issue(join(dir, "tls"), { dnsNames: ["localhost"] });
  const roles = await issueRoleFolders(authority, join(dir, "roles"), ["entry", "logic"]);
  const [entry, logic] = [loadInternalTls(roles.entry), loadInternalTls(roles.logic)];
  if (!entry || !logic) throw new Error("no certificates");
  return { clientDir, entryDir: roles.entry, logic, secret: entry.key };
}

/** A real entry process with a probe in it, and a logic here that lets everybody in. */
export class EntrySite {
  readonly tlsPort: number;
  readonly plainPort: number;
  readonly #folder: string;
  readonly #logic: FakeLogic;
  readonly #process: ServiceProcess;
  readonly #forget: NodeJS.Timeout;
  #samples = 0;

  private constructor(folder: string, logic: FakeLogic, process: ServiceProcess, ports: [number, number]) {
    this.#folder = folder;
    this.#logic = logic;
    this.#process = process;
    [this.tlsPort, this.plainPort] = ports;
    // It remembers everything that it was sent.
    this.#forget = setInterval(() => logic.received.splice(0), FORGET_EVERY_MS);
  }

  static async start(tls: FleetTls): Promise<EntrySite> {
    const folder = mkdtempSync(join(tmpdir(), "im-fuzz-"));
    const logic = await FakeLogic.start({ tls: tls.logic });
    try {
      const [tlsPort, plain, http, control, admin] = await Promise.all(Array.from({ length: 5 }, () => freePort()));
      const ports = { tls: tlsPort ?? 0, plain: plain ?? 0, admin: admin ?? 0 };
      const service = new ServiceProcess({
        name: "entry",
        script: "gateway/main.ts",
        env: {
          IM_TLS_PORT: String(ports.tls),
          IM_PLAIN_PORT: String(ports.plain),
          IM_HTTP_PORT: String(http),
          IM_CONTROL_PORT: String(control),
          IM_ADMIN_PORT: String(ports.admin),
          IM_TLS_DIR: tls.clientDir,
          IM_INTERNAL_TLS_DIR: tls.entryDir,
          IM_LOGIC_TARGETS: logic.target,
          IM_LOGIN_TIMEOUT_MS: "2000",
          IM_PROXY_CIDRS: `${PROXY_ADDRESS}/32`,
          IM_FUZZ_PROBE: join(folder, "probe.json"),
        },
        adminPort: ports.admin,
        logPath: join(folder, "entry.log"),
        nodeArgs: [
          ...YOUNG_GENERATION,
          "--expose-gc",
          "--import",
          pathToFileURL(join(import.meta.dirname, "probe.ts")).href,
        ],
      });
      const site = new EntrySite(folder, logic, service, [ports.tls, ports.plain]);
      await service.start();
      await service.waitReady();
      return site;
    } catch (error) {
      await logic.close();
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  /** Who logs in from here on must ping this often, or is forgotten after twice the time. */
  expectPings(intervalMs: number): void {
    this.#logic.options.pingIntervalMs = intervalMs;
  }

  /** How the entry ended; undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#process.exit;
  }

  logTail(): string {
    return this.#process.logTail();
  }

  /** What the probe wrote last; undefined before the first sample. */
  report(): ProbeReport | undefined {
    try {
      return JSON.parse(readFileSync(join(this.#folder, "probe.json"), "utf8")) as ProbeReport;
    } catch {
      // Not there yet, or half written.
      return undefined;
    }
  }

  /** Memory after a collection of garbage, and the longest stall since the last sample. */
  async sample(): Promise<ProbeReport> {
    const wanted = ++this.#samples;
    this.#process.signal("SIGUSR2");
    const isThere = (): boolean => this.exit !== undefined || this.report()?.samples === wanted;
    await waitUntil("a sample of the entry", isThere, SAMPLE_TIMEOUT_MS);
    const report = this.report();
    if (this.exit || !report) throw new Error(`the entry ended: ${this.logTail()}`);
    return report;
  }

  async stop(): Promise<void> {
    clearInterval(this.#forget);
    await this.#process.stop();
    await this.#logic.close();
    rmSync(this.#folder, { recursive: true });
  }
}
