// SPDX-License-Identifier: Apache-2.0
// Names that pages mention: metrics, variables, targets of make, flags of `kubectl im`, fields of an ImCluster, files. Each exists in the code.
import type { Page } from "./markdown.ts";

/** What there is; every question is about one name. */
export interface Known {
  readonly metric: (name: string) => boolean;
  readonly recordedFigure: (name: string) => boolean;
  readonly variable: (name: string) => boolean;
  readonly target: (name: string) => boolean;
  /** A variable that the Makefile passes on, such as SEED. */
  readonly makeVariable: (name: string) => boolean;
  readonly command: (name: string) => boolean;
  readonly flag: (command: string, flag: string) => boolean;
  /** `spec.entry.replicas`, also without the `spec.`. */
  readonly field: (path: string) => boolean;
  readonly file: (path: string) => boolean;
}

interface Mention {
  readonly text: string;
  readonly line: number;
}

/** How a name of one kind looks, and what is wrong with this one. */
type Check = (text: string, known: Known) => string[];

const missing = (names: Iterable<string>, exists: (name: string) => boolean, what: string): string[] =>
  [...new Set(names)].filter((name) => !exists(name)).map((name) => `there is no ${what} ${name}`);

const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = ""]) => name);

/** No metric: how apps on Android call the text of a notification. */
const TEXT_OF_APPS = "im_new_message";

const metrics: Check = (text, known) =>
  missing(
    all(text, /(?<![\w/.-])(im_[a-z0-9_]+)(?![\w*])/g),
    (name) => name === TEXT_OF_APPS || known.metric(name) || known.metric(name.replace(/_(bucket|sum|count)$/, "")),
    "metric",
  );

const figures: Check = (text, known) =>
  missing(all(text, /(?<![\w:])(imcluster:[a-z_]+:[a-z0-9_]+)/g), known.recordedFigure, "recorded figure");

const variables: Check = (text, known) =>
  missing(
    all(text, /(?<![\w-])(IM_[A-Z0-9_]*[A-Z0-9])(?![\w*])/g),
    (name) => known.variable(name) || known.variable(name.replace(/_FILE$/, "")),
    "variable",
  );

const targets: Check = (text, known) => {
  const calls = [...text.matchAll(/(?<![\w/.`-])make ([a-z][a-z0-9-]*)((?: [A-Z]+=\S*)*)/g)];
  return calls.flatMap(([, target = "", settings = ""]) => [
    ...missing([target], known.target, "target"),
    ...missing(all(settings, / ([A-Z]+)=/g), known.makeVariable, "setting of make"),
    ...missing(all(settings, / BENCH=([a-z][\w-]*)/g), (name) => known.file(`bench/${name}.ts`), "benchmark"),
  ]);
};

const plugin: Check = (text, known) =>
  [...text.matchAll(/kubectl im ([a-z]+(?: [a-z]+)?)([^|\n]*)/g)].flatMap(([, words = "", rest = ""]) => {
    const command = [words, words.split(" ")[0] ?? ""].find(known.command);
    if (command === undefined) return [`there is no command kubectl im ${words}`];
    return missing(all(rest, /(?<![\w-])--([a-z][a-z-]*)/g), (flag) => known.flag(command, flag), `flag of ${command}`);
  });

const fields: Check = (text, known) =>
  missing(
    all(text, /(?<![\w.])(spec\.[a-zA-Z]+(?:\.[a-zA-Z]+)*)(?![\w*…])/g).filter((path) => !FOREIGN_FIELDS.test(path)),
    known.field,
    "field",
  );

/** Of Kubernetes' own objects. */
const FOREIGN_FIELDS = /^spec\.(containers|template|nodeName|loadBalancer\w*|unschedulable|externalTrafficPolicy)\b/;

const FILE =
  /^(?:bench|charts|client|crds|docs|e2e|examples|gateway|kubectl|lib|logic|operator|proto|scripts)\/[\w./-]+$/;
const files: Check = (text, known) => (FILE.test(text) ? missing([text], known.file, "file") : []);

const CHECKS: readonly Check[] = [metrics, figures, variables, targets, plugin, fields];

/** Names that a page mentions and that are not there, as `page:line: why`. */
export function unknownNames(page: Page, known: Known): string[] {
  const mentions = (list: readonly Mention[], checks: readonly Check[]): string[] =>
    list.flatMap(({ text, line }) =>
      checks.flatMap((check) => check(text, known)).map((problem) => `${page.path}:${line}: ${problem}`),
    );
  // Code in other languages has names of its own.
  const blocks = page.fences.filter(({ language }) => ["sh", "console", "yaml", ""].includes(language));
  return [...mentions(page.spans, [...CHECKS, files]), ...mentions(blocks, CHECKS)];
}
