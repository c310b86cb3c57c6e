// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ApiItem, docOf, type EntryPoint, signatureOf } from "./api-model.ts";
import { referencePage, undocumented } from "./api-reference.ts";

const declared = (text: string): Pick<ApiItem, "excerptTokens"> => ({ excerptTokens: [{ text }] });
const comment = (text: string): string => `/**\n * ${text.replaceAll("\n", "\n * ")}\n */\n`;

const CLIENT_DTS = `/** A client. */
export declare class Client implements Disposable {
    #private;
    /** Sends. */
    send(text: string): Promise<void>;
}
export interface Options {
    url: string;
}
/** Codes. */
export declare const Code: {
    /** All is well | or better. */
    readonly OK: 0;
    readonly BAD: 1;
};
export type Code = (typeof Code)[keyof typeof Code];
`;
const NODE_DTS = `export declare class Client extends Base {
    constructor(path: string);
}
`;

const member = (kind: string, name: string, text: string, doc = ""): ApiItem => ({
  kind,
  name,
  docComment: doc === "" ? "" : comment(doc),
  ...declared(text),
});
const ITEMS: readonly ApiItem[] = [
  {
    ...member(
      "Class",
      "Client",
      "export declare class Client implements Disposable ",
      "A client; see {@link Options.url}.",
    ),
    fileUrlPath: "dist/client.d.ts",
    members: [
      member("Method", "[Symbol.dispose]", "[Symbol.dispose](): void;", "{@link Unknown} closes."),
      member(
        "Method",
        "send",
        "send(text: string,\n    id?: string): Promise<void>;",
        "Sends.\n\n@param text - what to send\n@throws Error when\nit cannot",
      ),
      {
        kind: "Constructor",
        docComment: comment("Constructs a new instance of the `Client` class"),
        ...declared("constructor();"),
      },
      member("Property", "state", "get state(): string;"),
    ],
  },
  { ...member("TypeAlias", "Code", "export type Code = number;"), fileUrlPath: "dist/client.d.ts" },
  { ...member("Variable", "Code", "Code: {}", "Codes."), fileUrlPath: "dist/client.d.ts" },
  {
    ...member("Interface", "Options", "export interface Options ", "Options."),
    fileUrlPath: "dist/client.d.ts",
    members: [{ ...member("PropertySignature", "url", 'readonly url?: "a" | "b";', "Where to."), isOptional: true }],
  },
];
const MAIN: EntryPoint = { module: "@x/client", items: ITEMS, report: "" };
const NODE: EntryPoint = {
  module: "@x/client/node",
  report: "",
  items: [
    ...ITEMS.filter(({ name }) => name !== "Client"),
    {
      ...member("Class", "Client", "export declare class Client extends Base ", "For Node."),
      fileUrlPath: "dist/node.d.ts",
      members: [
        { kind: "Constructor", docComment: comment("@param path - a file"), ...declared("constructor(path: string);") },
      ],
    },
  ],
};
const sourceOf = (path: string): string => (path === "dist/node.d.ts" ? NODE_DTS : CLIENT_DTS);

describe("API reference", () => {
  const page = referencePage([MAIN, NODE], sourceOf);
  const section = (title: string): string => page.split(`\n### ${title}\n`)[1]?.split("\n### ")[0] ?? "";

  it("lists every export once, by topic, with links that lead somewhere", () => {
    const headings = [...page.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
    assert.deepEqual(headings, ["Client", "Options", "Code", "Client (node)"]);
    for (const [, anchor = ""] of page.matchAll(/\]\(#([\w-]+)\)/g)) {
      assert.ok(
        headings.some((title) => title?.toLowerCase().replace(/[()]/g, "").replace(" ", "-") === anchor),
        anchor,
      );
    }
  });

  it("shows a class by its constructor, properties, methods, and what has a symbol for a name", () => {
    const names = [...section("Client").matchAll(/^#### (.*)$/gm)].map(([, name]) => name);
    assert.deepEqual(names, ["new", "state", "send()", "[Symbol.dispose]()"]);
    assert.match(
      section("Client"),
      /```ts\nsend\(text: string, id\?: string\): Promise<void>;\n```\n\nSends\.\n\n- `text`: what to send\n- Throws Error when it cannot/,
    );
    assert.match(section("Client"), /A client; see \[`Options\.url`\]\(#options\)\./);
    assert.match(section("Client"), /`Unknown` closes/);
    assert.match(section("Client (node)"), /From `@x\/client\/node`\./);
  });

  it("shows an interface and a constant of codes as tables", () => {
    assert.match(section("Options"), /^\| `url\?` \| `"a" \\\| "b"` \| Where to\. \|$/m);
    assert.match(section("Code"), /^\| 0 \| `OK` \| All is well \\\| or better\. \|$/m);
  });

  it("names what has no word about it", () => {
    assert.deepEqual(undocumented([MAIN, NODE], sourceOf), ["Client.new", "Client.state", "Code.BAD"]);
    const bare = {
      ...MAIN,
      items: [{ ...member("Interface", "Options", "export interface Options "), fileUrlPath: "dist/client.d.ts" }],
    };
    assert.deepEqual(undocumented([bare], sourceOf), ["Options"]);
  });

  it("wants a topic for every file", () => {
    const items = [{ ...member("Interface", "Options", "export interface Options "), fileUrlPath: "dist/new.d.ts" }];
    assert.throws(() => referencePage([{ ...MAIN, items }], sourceOf), /no group of the reference has exports of new/);
  });
});

describe("API model", () => {
  it("joins the lines of a paragraph and keeps paragraphs apart", () => {
    const doc = docOf({ kind: "Function", docComment: comment("One\ntwo.\n\nThree. @throws A or\nB\n@returns it") });
    assert.deepEqual(doc, {
      text: "One two.\n\nThree.",
      tags: [
        { name: "throws", text: "A or B" },
        { name: "returns", text: "it" },
      ],
    });
    assert.deepEqual(docOf({ kind: "Function" }), { text: "", tags: [] });
  });

  it("puts a declaration on one line", () => {
    assert.equal(
      signatureOf({ kind: "Method", ...declared("a(b: {\n    c: 1;\n}): void; ") }),
      "a(b: { c: 1; }): void;",
    );
  });
});
