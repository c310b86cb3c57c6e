// SPDX-License-Identifier: Apache-2.0

/** Languages of the page. */
export type Language = "en" | "zh";

const EN = {
  title: "ImCluster chat",
  lead: "Two people, two real connections. Break one: nothing is lost, nothing comes twice.",
  switchLanguage: "中文",
  pane: "{name}",
  messages: "Messages of {name}",
  write: "Message to {peer}",
  send: "Send",
  burst: "Send 50",
  kill: "Kill socket",
  goOffline: "Go offline",
  goOnline: "Go online",
  takeOver: "Connect here",
  entry: "Entry",
  latency: "Ack p50 / p99",
  reconnects: "Reconnects",
  waiting: "Waiting",
  none: "–",
  milliseconds: "{ms} ms",
  idle: "Idle",
  connecting: "Connecting",
  open: "Open",
  reconnecting: "Reconnecting",
  closed: "Closed",
  sending: "sending",
  stored: "stored",
  delivered: "delivered",
  failed: "failed: {reason}",
  noticeOpen: "Connected to {entry}",
  noticeMoved: "Moved from {from} to {entry} without a break",
  noticeLost: "Connection lost: {reason}",
  noticeGoaway: "The entry asks to move: in {seconds} s",
  noticeKicked: "Signed in elsewhere",
  noticeKickedBy: "Signed in elsewhere: {device}",
  noticeClosed: "Closed by the server: {reason}",
  noticeReset: "The inbox begins anew",
  noticeOffline: "Offline: messages wait here and in the inbox",
  noticeError: "{reason}",
  legend: "sending: on its way · stored: committed in PostgreSQL · delivered: the other side shows it",
  helpTitle: "Two tokens are missing",
  helpWhy:
    "This page logs in two users with the tokens in its address, after the #. They never leave the browser except to log in.",
  helpUp: "With the local cluster: make up prints the whole address.",
  helpDev: "With local processes: make dev prints it too.",
  helpOwn:
    "With your own: add #alice=TOKEN&bob=TOKEN to this address. The names are user ids; each token's sub must match.",
} as const;

/** A text of the page. */
export type TextKey = keyof typeof EN;

const ZH: Readonly<Record<TextKey, string>> = {
  title: "ImCluster 聊天",
  lead: "两个人，两条真实连接。断开任意一条：消息不丢、不重。",
  switchLanguage: "English",
  pane: "{name}",
  messages: "{name} 的消息",
  write: "发给 {peer} 的消息",
  send: "发送",
  burst: "连发 50 条",
  kill: "断开连接",
  goOffline: "离线",
  goOnline: "上线",
  takeOver: "在此连接",
  entry: "接入点",
  latency: "确认延迟 p50 / p99",
  reconnects: "重连次数",
  waiting: "等待确认",
  none: "–",
  milliseconds: "{ms} 毫秒",
  idle: "未启动",
  connecting: "连接中",
  open: "已连接",
  reconnecting: "重连中",
  closed: "已关闭",
  sending: "发送中",
  stored: "已存储",
  delivered: "已送达",
  failed: "失败：{reason}",
  noticeOpen: "已连接到 {entry}",
  noticeMoved: "已从 {from} 平滑迁移到 {entry}",
  noticeLost: "连接中断：{reason}",
  noticeGoaway: "接入点要求迁移：{seconds} 秒后",
  noticeKicked: "已在其他地方登录",
  noticeKickedBy: "已在其他地方登录：{device}",
  noticeClosed: "被服务器关闭：{reason}",
  noticeReset: "收件箱重新开始",
  noticeOffline: "离线：消息在此处和收件箱中等待",
  noticeError: "{reason}",
  legend: "发送中：在途 · 已存储：已提交到 PostgreSQL · 已送达：对方已显示",
  helpTitle: "缺少两个令牌",
  helpWhy: "本页用地址中 # 之后的令牌登录两个用户。令牌只用于登录，不会以其他方式离开浏览器。",
  helpUp: "本地集群：make up 会打印完整地址。",
  helpDev: "本地进程：make dev 也会打印。",
  helpOwn: "自己的环境：在本地址后加上 #alice=TOKEN&bob=TOKEN。名字是用户 id，须与令牌的 sub 一致。",
};

const TEXTS: Readonly<Record<Language, Readonly<Record<TextKey, string>>>> = { en: EN, zh: ZH };

/** What fills the braces of a text. */
export type TextArgs = Readonly<Record<string, string>>;

/** A text in a language, its braces filled. */
export function textOf(language: Language, key: TextKey, args: TextArgs = {}): string {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => args[name] ?? whole);
}

/** Chinese for whoever prefers it to English, English for all others. */
export function preferredLanguage(languages: readonly string[]): Language {
  return languages
    .find((tag) => /^(zh|en)\b/i.test(tag))
    ?.toLowerCase()
    .startsWith("zh")
    ? "zh"
    : "en";
}
