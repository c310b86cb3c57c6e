// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { forwardedPort } from "../../kubectl/forwarded-port.ts";
import { DEMO_NAMESPACE } from "./demo.ts";
import type { KubeTools } from "./kube-tools.ts";

const OPEN_TIMEOUT_MS = 20_000;

/** A port on loopback that leads into the cluster. */
export interface Tunnel {
  readonly port: number;
  close(): void;
}

/**
 * Opens a tunnel to a port of something in the demo's namespace (`svc/demo-api`), to one of its pods as long as that lives.
 * @throws Error with what kubectl said when it cannot be had within 20 s
 */
export async function openTunnel(tools: KubeTools, target: string, port: number): Promise<Tunnel> {
  const args = [
    ...tools.contextArgs,
    "port-forward",
    "--address",
    "127.0.0.1",
    "-n",
    DEMO_NAMESPACE,
    target,
    `:${port}`,
  ];
  const child = spawn(tools.kubectlPath, args, {
    env: { ...process.env, KUBECONFIG: tools.kubeconfig },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const fail = (why: string): void => reject(new Error(`no tunnel to ${target}:${port}: ${why} ${complaint}`.trim()));
  const timer = setTimeout(() => fail(`not within ${OPEN_TIMEOUT_MS / 1000} s`), OPEN_TIMEOUT_MS);
  child.once("error", (error) => fail(error.message));
  child.once("exit", (code) => fail(`kubectl ended with ${code}`));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const local = forwardedPort(line);
    if (local !== undefined) resolve(local);
  });
  const close = (): void => void child.kill("SIGTERM");
  try {
    return { port: await promise, close };
  } catch (error) {
    close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
