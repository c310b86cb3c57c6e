// SPDX-License-Identifier: Apache-2.0
// Commands that a page shows: each block says above it, in comments that readers do not see, what becomes of it in the tests.
//   <!-- run -->                      it is executed here, on a real API server
//   <!-- tested by FILE: TEST -->     that test does what it says; several such lines are several tests
//   <!-- not run: REASON -->          it needs what no test machine has; counted, and allowed on few pages
import type { Fence, Page } from "./markdown.ts";

/** What becomes of a block of commands. */
export type Fate =
  | { readonly kind: "run" }
  | { readonly kind: "tested"; readonly by: readonly { readonly file: string; readonly test: string }[] }
  | { readonly kind: "not run"; readonly reason: string }
  | { readonly kind: "unknown"; readonly problem: string };

/** A block of commands of a page. */
export interface Block {
  readonly page: string;
  readonly fence: Fence;
  readonly fate: Fate;
}

const TESTED = /^tested by (\S+\.ts): (.+)$/;
const NOT_RUN = /^not run: (.{10,})$/;

function fateOf({ notes }: Fence): Fate {
  const tests = notes.map((note) => TESTED.exec(note)).filter((match) => match !== null);
  const reason = notes.map((note) => NOT_RUN.exec(note)?.[1]).find((text) => text !== undefined);
  const said = [notes.includes("run"), tests.length > 0, reason !== undefined].filter(Boolean).length;
  if (said > 1) return { kind: "unknown", problem: "says more than one thing of itself" };
  if (notes.includes("run")) return { kind: "run" };
  if (reason !== undefined) return { kind: "not run", reason };
  if (tests.length === 0) return { kind: "unknown", problem: "no comment above it says which test runs it" };
  return { kind: "tested", by: tests.map(([, file = "", test = ""]) => ({ file, test })) };
}

/** The `sh` blocks of a page, each with its fate. */
export const commandBlocks = (page: Page): Block[] =>
  page.fences
    .filter((fence) => fence.language === "sh")
    .map((fence) => ({ page: page.path, fence, fate: fateOf(fence) }));

const nameOf = ({ page, fence }: Block): string => `${page}:${fence.line}`;

/** What is wrong with them. @param hasTest is there a test of that name in that file? */
export function blockProblems(
  blocks: readonly Block[],
  rules: { hasTest: (file: string, test: string) => boolean; mayBeLeftOut: (page: string) => boolean },
): string[] {
  return blocks.flatMap((block) => {
    const { fate } = block;
    if (fate.kind === "unknown") return [`${nameOf(block)}: ${fate.problem}`];
    if (fate.kind === "not run" && !rules.mayBeLeftOut(block.page))
      return [`${nameOf(block)}: on this page every command is run by a test`];
    if (fate.kind !== "tested") return [];
    return fate.by
      .filter(({ file, test }) => !rules.hasTest(file, test))
      .map(({ file, test }) => `${nameOf(block)}: ${file} has no test "${test}"`);
  });
}

/** The commands of a block without comments, which a translation has in its own words. */
export const withoutComments = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.replace(/(^|\s)#\s.*$/, "").trimEnd())
    .filter((line) => line !== "")
    .join("\n");

/** Where a translation shows other code than its original: by language and content, in order. */
export function differences(original: Page, translation: Page): string[] {
  const codeOf = (page: Page): string[] =>
    page.fences.map(({ language, text }) => `${language}\n${withoutComments(text)}`);
  const [ours, theirs] = [codeOf(original), codeOf(translation)];
  const count = Math.max(ours.length, theirs.length);
  return Array.from({ length: count }, (_, i) => i)
    .filter((i) => ours[i] !== theirs[i])
    .map((i) => {
      const at = translation.fences[i]?.line ?? "end";
      return `${translation.path}:${at}: block ${i + 1} is not that of ${original.path}:${original.fences[i]?.line ?? "end"}`;
    });
}
