// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { FakeLogic } from "../../gateway/testing/fake-logic.ts";
import { freePort } from "../harness/ports.ts";
import type { ProcessExit } from "../harness/processes.ts";
import { waitUntil } from "../harness/processes.ts";
import { ServiceProcess } from "../harness/service-process.ts";
import { createTestAuthority } from "../harness/tls.ts";
import type { ProbeReport } from "./probe.ts";

/** Who connects from there begins with a PROXY header. */
export const PROXY_ADDRESS = "127.0.0.2";
const SAMPLE_TIMEOUT_MS = 20_000;
const FORGET_EVERY_MS = 500;

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

  static async start(env: Readonly<Record<string, string>> = {}): Promise<EntrySite> {
    const folder = mkdtempSync(join(tmpdir(), "im-fuzz-"));
    const logic = await FakeLogic.start();
    try {
      await (await createTestAuthority(join(folder, "ca"))).issue(join(folder, "tls"), { dnsNames: ["localhost"] });
      const [tls, plain, http, control, admin] = await Promise.all(Array.from({ length: 5 }, () => freePort()));
      const ports = { tls: tls ?? 0, plain: plain ?? 0, admin: admin ?? 0 };
      const service = new ServiceProcess({
        name: "entry",
        script: "gateway/main.ts",
        env: {
          IM_TLS_PORT: String(ports.tls),
          IM_PLAIN_PORT: String(ports.plain),
          IM_HTTP_PORT: String(http),
          IM_CONTROL_PORT: String(control),
          IM_ADMIN_PORT: String(ports.admin),
          IM_TLS_DIR: join(folder, "tls"),
          IM_LOGIC_TARGETS: logic.target,
          IM_LOGIN_TIMEOUT_MS: "2000",
          IM_PROXY_CIDRS: `${PROXY_ADDRESS}/32`,
          IM_FUZZ_PROBE: join(folder, "probe.json"),
          ...env,
        },
        adminPort: ports.admin,
        logPath: join(folder, "entry.log"),
        nodeArgs: ["--expose-gc", "--import", pathToFileURL(join(import.meta.dirname, "probe.ts")).href],
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
