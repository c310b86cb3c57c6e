// SPDX-License-Identifier: Apache-2.0
// The local cluster by itself; `make up` also installs ImCluster on it. The last line of stdout is one JSON object.
import { parseArgs } from "node:util";
import { down } from "./down.ts";
import { ClusterFault, describeFault } from "./fault.ts";
import { DEFAULT_IMAGES, ensureImages, IMAGE_NAMES, type ImageName, WORKLOAD_IMAGES, writeArchives } from "./images.ts";
import { NODES, type NodeLayout, nodeLayout } from "./layout.ts";
import { leftovers } from "./leftovers.ts";
import { loadImages } from "./load.ts";
import { execInNode, setNodeLink } from "./network.ts";
import { recordedProcesses, runningProcess } from "./processes.ts";
import { createProgress, type RunContext } from "./progress.ts";
import { ensureBinaries } from "./toolchain.ts";
import { up } from "./up.ts";

const USAGE = `usage: main.ts COMMAND
  up                        bring up the two-node cluster, or what is missing of it
  down                      remove it; built programs and images stay cached
  status                    processes of the cluster, and whether they run
  leftovers                 whatever of the cluster is on this machine
  images [--archive DIR]    build the images; with --archive, also as files for docker load or kind load
  load [NAME...]            build images (default: all of an ImCluster) and import what changed into both nodes
  node-cut N | node-heal N  pull or plug node N's network cable (N is 1 or 2)
  node-exec N -- COMMAND    run a command inside node N`;

/** A wrong command line; told without a stack. */
class UsageError extends Error {}

function nodeArgument(text: string | undefined): NodeLayout {
  const node = NODES().find((candidate) => `${candidate.index}` === text);
  if (!node) throw new UsageError(`which node? 1 or 2, not ${text ?? "nothing"}`);
  return nodeLayout(node.index);
}

function imageArguments(names: readonly string[], fallback: readonly ImageName[]): readonly ImageName[] {
  const known = new Set<string>(IMAGE_NAMES);
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) throw new UsageError(`no image ${unknown}: one of ${IMAGE_NAMES.join(", ")}`);
  return names.length > 0 ? (names as ImageName[]) : fallback;
}

type Command = (
  context: RunContext,
  args: readonly string[],
  options: { archive?: string | undefined },
) => Promise<object>;

const COMMANDS: Readonly<Record<string, Command>> = {
  async up(context) {
    const cluster = await up(context);
    const images = Object.fromEntries(cluster.images.map((image) => [image.name, image.ref]));
    return { up: true, kubeconfig: cluster.kubeconfig, images, built: cluster.built };
  },
  async down(context) {
    return { ...(await down(context)) };
  },
  async status() {
    const names = recordedProcesses();
    const processes = Object.fromEntries(names.map((name) => [name, runningProcess(name)?.pid ?? null]));
    const dead = names.filter((name) => processes[name] === null);
    return { up: names.length > 0 && dead.length === 0, dead, processes };
  },
  async leftovers() {
    return { leftovers: await leftovers() };
  },
  async images(context, args, { archive }) {
    const images = await ensureImages(imageArguments(args, DEFAULT_IMAGES), context);
    const files = archive === undefined ? [] : writeArchives(images, archive);
    return { images: Object.fromEntries(images.map((image) => [image.name, image.ref])), files };
  },
  async load(context, args) {
    const binaries = await ensureBinaries(["ctr"], context);
    const images = await ensureImages(imageArguments(args, WORKLOAD_IMAGES), context);
    const imported = await Promise.all(NODES().map((node) => loadImages(images, node, binaries, context)));
    return {
      images: Object.fromEntries(images.map((image) => [image.name, image.ref])),
      imported: imported.flat().length,
    };
  },
  async "node-cut"(_context, [index]) {
    const node = nodeArgument(index);
    await setNodeLink(node, false);
    return { node: node.name, connected: false };
  },
  async "node-heal"(_context, [index]) {
    const node = nodeArgument(index);
    await setNodeLink(node, true);
    return { node: node.name, connected: true };
  },
  async "node-exec"(_context, [index, ...command]) {
    const { code, stdout, stderr } = await execInNode(nodeArgument(index), command);
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    if (code !== 0) throw new ClusterFault(`the command ended with code ${code}`, "Its output is above.");
    return { code };
  },
};

const progress = createProgress();
const abort = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    progress.line(`${signal}: stopping. Finished steps stay: \`up\` goes on from here, \`down\` removes them.`);
    abort.abort(new Error(`stopped by ${signal}`));
    setTimeout(() => process.exit(130), 2000).unref();
  });
}

try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { archive: { type: "string" } } });
  const [name = "", ...args] = positionals;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(name === "" ? USAGE : `no command ${name}\n${USAGE}`);
  const result = await command({ progress, signal: abort.signal }, args, values);
  console.log(JSON.stringify({ ...result, seconds: progress.elapsedSeconds() }));
} catch (error) {
  const isUsage =
    error instanceof UsageError || String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
  console.error(
    abort.signal.aborted ? String(abort.signal.reason) : isUsage ? (error as Error).message : describeFault(error),
  );
  process.exit(abort.signal.aborted ? 130 : isUsage ? 2 : 1);
}
