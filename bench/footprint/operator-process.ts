// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { freePort } from "../../e2e/harness/ports.ts";
import { ServiceProcess } from "../../e2e/harness/service-process.ts";
import { OPERAND_IMAGE } from "../../e2e/operator/support/bench.ts";
import { type ImApiServer, startImApiServer } from "../../e2e/operator/support/shared-api-server.ts";
import { DEFAULT_DRAIN_TAINTS } from "../../operator/imcluster/drain-cause.ts";
import { BENCH_USER, grantRights } from "../operator/world.ts";

/** The operator as its pod runs it, with the rights of its chart, on a real API server without an ImCluster. */
export class OperatorProcess {
  readonly service: ServiceProcess;
  readonly #server: ImApiServer;

  private constructor(server: ImApiServer, service: ServiceProcess) {
    this.#server = server;
    this.service = service;
  }

  /** It is not started yet. Its log is in `dir`, its programs are in `build`. */
  static async open(dir: string, build: string): Promise<OperatorProcess> {
    const server = await startImApiServer();
    try {
      const namespace = await server.makeNamespace();
      await grantRights(server);
      const adminPort = await freePort();
      const env = {
        KUBECONFIG: await server.api.kubeconfigFor({ user: BENCH_USER }),
        IM_ADMIN_PORT: String(adminPort),
        IM_POD_NAMESPACE: namespace,
        IM_OPERAND_IMAGE: OPERAND_IMAGE,
        IM_DRAIN_TAINTS: DEFAULT_DRAIN_TAINTS.join(","),
      };
      const logPath = join(dir, "operator.log");
      const names = { name: "operator", script: "operator/main.ts" };
      return new OperatorProcess(server, new ServiceProcess({ ...names, env, adminPort, logPath, build: () => build }));
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.service.stop();
    await this.#server.stop();
  }
}
